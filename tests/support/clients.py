"""Runs third-party client programs as processes."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.gateway.process import ROOT
from tests.support.waiting import wait_until

BUILD = ROOT / "build" / "clients"
BUILD_TIMEOUT_SECONDS = 300


def find_program(name: str, how_to_install: str) -> str:
    """Returns the path of a program. Skips the test if the program is missing. In CI, a skipped test is a failure."""
    in_environment = Path(sys.executable).with_name(name)
    path = str(in_environment) if in_environment.exists() else shutil.which(name)
    if not path:
        pytest.skip(f"{name} is missing: {how_to_install}")
    return path


class Program:
    """A running client program.

    `output` and `errors` are the texts that the program has written to standard output and standard error so far.
    """

    def __init__(self, command: list[str], cwd: Path = ROOT) -> None:
        # Interactive clients end with their input, so it stays open.
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.output, self.errors = "", ""
        sources = {"output": self.process.stdout, "errors": self.process.stderr}
        self._readers = [threading.Thread(target=self._read, args=pair) for pair in sources.items()]
        for reader in self._readers:
            reader.start()

    def _read(self, name, source):
        while more := source.read1():
            setattr(self, name, getattr(self, name) + more.decode())

    def wait_for_output(self, text: str, seconds: float = 60) -> None:
        wait_until(lambda: text in self.output, seconds, f"{text!r} in {self.output!r}, {self.errors!r}")

    def wait(self) -> int:
        """Waits until the program ends by itself. Returns the exit status."""
        status = self.process.wait(60)
        self._join()
        return status

    def stop(self) -> None:
        if self.process.poll() is None:
            # The loop of a shell has a child process.
            subprocess.run(["kill", "-KILL", "--", f"-{self.process.pid}"], check=True)
            self.process.wait()
        self._join()

    def _join(self):
        for reader in self._readers:
            reader.join()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
