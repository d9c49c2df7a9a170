"""Finds free ports for servers. Ends server processes when the tests end."""

import random
import socket
import subprocess
import sys
from pathlib import Path

from stockwatch.local import reaper

TIMEOUT_SECONDS = 90.0


def server_port() -> int:
    """Returns a free port outside the ephemeral range.

    Such a port is still free when a server restarts.
    """
    for port in random.sample(range(20_000, 30_000), 200):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port from 20000 to 30000")


class ProcessReaper:
    """Ends processes and removes a folder when the tests end or are killed."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-I", "-S", reaper.__file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        self._write(f"folder {folder}")

    def watch(self, pid: int) -> None:
        self._write(f"watch {pid}")

    def forget(self, pid: int) -> None:
        self._write(f"forget {pid}")

    def close(self) -> None:
        """Ends the processes that are still watched, and removes the folder."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(TIMEOUT_SECONDS)

    def _write(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
