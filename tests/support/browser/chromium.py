"""Finds and launches a browser for tests.

Uses an installed Chromium, Chrome or Edge. If there is none, uses the browser that Playwright downloaded.
"""

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
SIZES = {
    "light": {"viewport": {"width": 1360, "height": 860}, "color_scheme": "light"},
    "phone-dark": {
        "viewport": {"width": 360, "height": 780},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
        "color_scheme": "dark",
    },
}
"""The options of the two windows in which pictures of all states are taken."""

ARGUMENTS = (
    "--no-sandbox",  # Chromium does not run as root with a sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)
NOT_FOUND = "found no Chromium, Chrome or Edge: install one, or run `playwright install chromium`"


class NoBrowser(RuntimeError):
    """This machine has no browser."""


def find_browser(playwright: Playwright) -> str:
    """Returns the path of a browser. Raises NoBrowser if this machine has no browser."""
    downloaded = playwright.chromium.executable_path
    for path in (*map(shutil.which, NAMES), downloaded):
        if path and Path(path).exists():
            return path
    raise NoBrowser(NOT_FOUND)


def launch_browser(playwright: Playwright) -> Browser:
    """Launches a browser without a window. Raises NoBrowser if this machine has no browser."""
    return playwright.chromium.launch(executable_path=find_browser(playwright), args=list(ARGUMENTS), headless=True)
