"""Checks Python and the installed packages."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.markers import Marker

from stockwatch.doctor.finding import Finding, judge, passed, warned

OLDEST, NEWEST = (3, 11), (3, 14)
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)(?: *; *([^\\\n]*))?", re.MULTILINE)


def check_installation(requirements: Path) -> Iterator[Finding]:
    """Checks that this Python is supported, and that the packages have the versions in the file `requirements`."""
    running = ".".join(map(str, sys.version_info[:3]))
    advice = "install Python 3.11 to 3.14, and create the virtual environment again"
    yield judge("python", not OLDEST <= sys.version_info[:2] <= NEWEST, f"{running}, {sys.executable}", advice)
    try:
        pinned = _read_pinned(requirements.read_text())
    except OSError as error:
        yield warned("packages", f"{requirements.name} cannot be read ({error.strerror})", "compare them by hand")
        return
    others = [f"{name} {found or 'missing'}, not {wanted}" for name, wanted, found in _find_others(pinned)]
    if others:
        yield warned("packages", "; ".join(others), f"install them: pip install -r {requirements.name}")
    else:
        yield passed("packages", f"all {len(pinned)} packages have the versions of {requirements.name}")


def _read_pinned(text: str) -> dict[str, str]:
    """Returns the versions of the packages that a requirements file has for this system and this Python, by name."""
    return {
        name: wanted
        for name, wanted, marker in PINNED.findall(text)
        if not marker.strip() or Marker(marker.strip()).evaluate()
    }


def _find_others(pinned: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yields the name, the pinned version and the installed version of each package whose versions differ.

    The installed version of a missing package is an empty text.
    """
    for name, wanted in pinned.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = ""
        if found != wanted:
            yield name, wanted, found
