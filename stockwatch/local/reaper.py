"""A small process that outlives a killed parent just long enough to clean up after it.

Run as a script with its standard input as a pipe from the parent, which writes one line for each thing that must not
outlive it: `watch PID` and `forget PID` for a process group, `folder PATH` for a temporary folder. The pipe's end is
the parent's end, however it came: even `kill -9` closes it. What is still watched is then asked to go, and made to.
It must not import the project, nor anything beyond the standard library: it has to be up before all else.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

GRACE = 5.0
"""Seconds between the request and the force."""


def read_orders(lines: Iterable[str]) -> tuple[list[int], list[str]]:
    """Process groups and folders that are still there when the lines end."""
    groups: list[int] = []
    folders: list[str] = []
    for line in lines:
        order, _, what = line.rstrip("\n").partition(" ")
        if order == "watch":
            groups.append(int(what))
        elif order == "forget" and int(what) in groups:
            groups.remove(int(what))
        elif order == "folder":
            folders.append(what)
    return groups, folders


def send_signal(group: int, number: int) -> bool:
    """False when the group has no process left."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def clean_up(groups: list[int], folders: list[str]) -> None:
    """Ends the groups, the youngest first, and removes the folders."""
    left = [group for group in reversed(groups) if send_signal(group, signal.SIGTERM)]
    deadline = time.monotonic() + GRACE
    while left and time.monotonic() < deadline:
        time.sleep(0.05)  # they are nobody's children any more: there is nothing to wait on
        left = [group for group in left if send_signal(group, 0)]
    for group in left:
        send_signal(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    clean_up(*read_orders(sys.stdin))
