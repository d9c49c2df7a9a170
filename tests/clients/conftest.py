"""Clients that others wrote, put into build/clients, and a gateway for them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.clients import BUILD, SLOW, Program, need
from tests.support.gateway.process import ROOT


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


@pytest.fixture
def run():
    started = []

    def start(command, cwd=ROOT):
        started.append(Program(command, cwd))
        return started[-1]

    yield start
    for each in started:
        each.stop()
