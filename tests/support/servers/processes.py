"""Ends server processes when the tests end."""

import socket
import subprocess
import sys
from pathlib import Path

from stockwatch.local import reaper
from stockwatch.local.redis_server import free_port

TIMEOUT_SECONDS = 90.0


def is_open(address: str) -> bool:
    """Returns whether a program listens at `address`, such as `127.0.0.1:6379`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=60).close()
    except OSError:
        return False
    return True


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Returns different free ports. `free_port` may return the same port twice until a server listens on it."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port(host))
    return list(ports)


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
