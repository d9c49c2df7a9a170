"""Checks the space of the disks to which the programs write."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from stockwatch.doctor.finding import Finding, failed, passed, warned

MIB = 1024 * 1024
LEAST_BYTES, LOW_BYTES = 100 * MIB, 1024 * MIB
"""A disk with fewer free bytes than LEAST_BYTES counts as full, with fewer than LOW_BYTES as nearly full."""


def check_disks(folders: Iterable[Path], least: int = LEAST_BYTES, low: int = LOW_BYTES) -> Iterator[Finding]:
    """Checks free space and write access of each folder, and of the folder for temporary files."""
    for folder in dict.fromkeys([*folders, Path(tempfile.gettempdir())]):
        yield _check_disk(folder, least, low)


def _check_disk(folder: Path, least: int, low: int) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
        files = os.statvfs(folder)
    except OSError as error:
        return failed("disk", f"{folder} cannot be used ({error.strerror})", "create the folder")
    found = f"{free // MIB:,} MiB are free in {folder}"
    if free < least or (files.f_files and not files.f_favail):
        return failed("disk", found, "delete files, or enlarge the disk: nothing can be written")
    if not os.access(folder, os.W_OK):
        return failed("disk", f"{folder} is not writable for this user", "change its owner or its mode")
    if free < low:
        return warned("disk", found, "delete files, or enlarge the disk, before it is full")
    return passed("disk", found)
