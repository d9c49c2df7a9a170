"""Finds a browser on this machine: Chromium, Chrome or Edge, then the one that Playwright downloaded."""

import shutil
from pathlib import Path

from playwright.sync_api import Browser, Playwright

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
ARGUMENTS = (
    "--no-sandbox",  # Chromium refuses to run as root with one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)
ADVICE = "no Chromium, Chrome or Edge here: install one, or run `playwright install chromium`"


class NoBrowser(RuntimeError):
    """There is no browser on this machine; the text says what to do."""


def find_browser(playwright: Playwright) -> str:
    """Path of a browser. Raises NoBrowser."""
    own = playwright.chromium.executable_path
    for path in (*map(shutil.which, NAMES), own):
        if path and Path(path).exists():
            return path
    raise NoBrowser(ADVICE)


def launch_browser(playwright: Playwright) -> Browser:
    """Raises NoBrowser."""
    return playwright.chromium.launch(executable_path=find_browser(playwright), args=list(ARGUMENTS), headless=True)
