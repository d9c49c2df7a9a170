"""Clients that others wrote, put into build/clients, and a gateway for them."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.waiting import wait_until
from tests.watchlist.gateway.conftest import run_gateway, ticker_database
from tests.watchlist.gateway.server import ROOT

__all__ = ["run_gateway", "ticker_database"]

BUILD = ROOT / "build" / "clients"
SLOW = 300


def need(name: str, how: str) -> str:
    """Where a program is; the test is skipped, which is a failure in CI, where it is missing."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} is missing: {how}")
    return found


@pytest.fixture(scope="session")
def node() -> str:
    return need("node", "install Node 18 or newer, with npm")


@pytest.fixture(scope="session")
def node_folder(node: str):
    """Gives a folder of the repository with a package.json, with its packages, in the build folder."""
    npm = need("npm", "install it beside Node")

    def prepare(source: Path) -> Path:
        folder = BUILD / source.parent.name / source.name
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        lock, noted = folder / "package-lock.json", folder / "installed"
        if not noted.exists() or noted.read_bytes() != lock.read_bytes():
            command = [npm, "ci", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"]
            subprocess.run(command, cwd=folder, check=True, timeout=SLOW)
            noted.write_bytes(lock.read_bytes())
        return folder

    return prepare


@pytest.fixture(scope="session")
def go_program() -> str:
    """The example in Go, built."""
    go = need("go", "install Go 1.23 or newer")
    program = BUILD / "watch-go"
    subprocess.run([go, "build", "-o", str(program), "."], cwd=ROOT / "examples" / "go", check=True, timeout=SLOW)
    return str(program)


@pytest.fixture(scope="module")
def gateway(run_gateway):
    return run_gateway("rungateway")


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


@pytest.fixture
def run():
    started = []

    def start(command, cwd=ROOT):
        started.append(Program(command, cwd))
        return started[-1]

    yield start
    for each in started:
        each.stop()
