"""Checks Python and the installed packages."""

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stockwatch.doctor.finding import Finding, judge, passed, warned

OLDEST, NEWEST = (3, 11), (3, 14)
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)([ \t]*;)?", re.MULTILINE)
"""Matches a pinned package. Group 3 matches the begin of a condition, such as `; python_version < '3.12'`."""


def check_installation(requirements: Path) -> Iterator[Finding]:
    """Checks that this Python is supported, and that the packages have the versions in the file `requirements`."""
    running = ".".join(map(str, sys.version_info[:3]))
    advice = "install Python 3.11 to 3.14, and create the virtual environment again"
    yield judge("python", not OLDEST <= sys.version_info[:2] <= NEWEST, f"{running}, {sys.executable}", advice)
    try:
        pinned = PINNED.findall(requirements.read_text())
    except OSError as error:
        yield warned("packages", f"{requirements.name} cannot be read ({error.strerror})", "compare them by hand")
        return
    others = list(_describe_others(pinned))
    if others:
        yield warned("packages", "; ".join(others), f"install them: pip install -r {requirements.name}")
    else:
        yield passed("packages", f"all packages have the versions of {requirements.name}")


def _describe_others(pinned: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Yields a text for each package whose installed version is not the pinned one.

    An item of `pinned` has the groups of PINNED. A package with a condition may be missing: pip installs such a package
    only if this Python meets the condition.
    """
    for name, wanted, condition in pinned:
        try:
            found = version(name)
        except PackageNotFoundError:
            found = ""
        if found != wanted and (found or not condition):
            yield f"{name} {found or 'missing'}, not {wanted}"
