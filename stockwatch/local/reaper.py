"""Ends process groups and removes temporary folders after the parent process has died.

This module runs as a script. The parent writes commands to the standard input of the script, one per line. `watch PID`
adds a process group to a list, `forget PID` removes the group from the list, and `folder PATH` adds a temporary folder.

The standard input closes when the parent ends for any reason, including `kill -9`. Then the script ends the listed
groups and removes the folders. The script imports only the standard library, so that the script starts fast: the script
must run before the parent starts any other process.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

TERMINATION_SECONDS = 5.0
"""Time between SIGTERM and SIGKILL."""


def read_commands(lines: Iterable[str]) -> tuple[list[int], list[str]]:
    """Reads commands until the input ends. Returns the process groups to end and the folders to remove.

    Process groups that a `forget` command names are left out.
    """
    groups: list[int] = []
    folders: list[str] = []
    for line in lines:
        command, _, argument = line.rstrip("\n").partition(" ")
        if command == "watch":
            groups.append(int(argument))
        elif command == "forget" and int(argument) in groups:
            groups.remove(int(argument))
        elif command == "folder":
            folders.append(argument)
    return groups, folders


def signal_group(group: int, number: int) -> bool:
    """Sends a signal to a process group. Returns False if the group has no process."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def clean_up(groups: list[int], folders: list[str]) -> None:
    """Ends process groups, then removes folders.

    Sends SIGTERM to each group, in the reverse order of `groups`. If a group still runs after TERMINATION_SECONDS,
    sends SIGKILL to this group.
    """
    running = [group for group in reversed(groups) if signal_group(group, signal.SIGTERM)]
    deadline = time.monotonic() + TERMINATION_SECONDS
    while running and time.monotonic() < deadline:
        time.sleep(0.05)  # `wait` works only for children of this process
        running = [group for group in running if signal_group(group, 0)]
    for group in running:
        signal_group(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    clean_up(*read_commands(sys.stdin))
