"""Programs that others wrote, as processes."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.gateway.process import ROOT
from tests.support.waiting import wait_until

BUILD = ROOT / "build" / "clients"


SLOW = 300


def need(name: str, how: str) -> str:
    """Where a program is; the test is skipped, which is a failure in CI, where it is missing."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} is missing: {how}")
    return found


class Program:
    """A client in a process; what it prints is read as it comes."""

    def __init__(self, command: list[str], cwd: Path = ROOT) -> None:
        # A terminal's client ends with its input, so that stays open.
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.out, self.said = "", ""
        sources = {"out": self.process.stdout, "said": self.process.stderr}
        self._readers = [threading.Thread(target=self._read, args=pair) for pair in sources.items()]
        for reader in self._readers:
            reader.start()

    def _read(self, name, source):
        while more := source.read1():
            setattr(self, name, getattr(self, name) + more.decode())

    def prints(self, text: str, seconds: float = 20) -> None:
        wait_until(lambda: text in self.out, seconds, f"{text!r} in {self.out!r}, {self.said!r}")

    def end(self) -> int:
        """Its own end, and its status."""
        status = self.process.wait(20)
        self._join()
        return status

    def stop(self) -> None:
        if self.process.poll() is None:
            # The shell's loop has a child of its own.
            subprocess.run(["kill", "-KILL", "--", f"-{self.process.pid}"], check=True)
            self.process.wait()
        self._join()

    def _join(self):
        for reader in self._readers:
            reader.join()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
