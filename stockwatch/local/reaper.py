"""Ends process groups and removes temporary folders after the parent process has died.

This module runs as a script, which reads commands from its standard input, one per line:

- `watch PID`: end this process group later;
- `forget PID`: do not end this process group;
- `folder PATH`: remove this folder later.

When the input closes, the script ends the process groups and removes the folders.
"""

# Only the standard library, so that the script starts fast: the parent starts no other process before the script runs.
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

TERMINATION_SECONDS = 5.0
"""Time between SIGTERM and SIGKILL."""


def read_commands(lines: Iterable[str]) -> tuple[list[int], list[str]]:
    """Reads commands until the input ends. Returns the process groups to end and the folders to remove."""
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

    Sends SIGTERM to each group, the last group first. Sends SIGKILL to the groups that still run after
    TERMINATION_SECONDS.
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
