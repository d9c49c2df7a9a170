"""Fixtures that install third-party clients in build/clients, and a gateway for them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.clients import BUILD, BUILD_TIMEOUT_SECONDS, Program, find_program
from tests.support.gateway.process import ROOT


@pytest.fixture(scope="session")
def node() -> str:
    return find_program("node", "install Node 18 or newer, with npm")


@pytest.fixture(scope="session")
def node_folder(node: str):
    """Returns a function that copies a folder with a package.json to the build folder and installs its packages."""
    npm = find_program("npm", "install it beside Node")

    def prepare(source: Path) -> Path:
        folder = BUILD / source.parent.name / source.name
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        lock, installed = folder / "package-lock.json", folder / "installed"
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            command = [npm, "ci", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"]
            subprocess.run(command, cwd=folder, check=True, timeout=BUILD_TIMEOUT_SECONDS)
            installed.write_bytes(lock.read_bytes())
        return folder

    return prepare


@pytest.fixture(scope="session")
def go_program() -> str:
    """Builds the Go example. Returns the path of the executable."""
    go = find_program("go", "install Go 1.23 or newer")
    program = BUILD / "watch-go"
    subprocess.run(
        [go, "build", "-o", str(program), "."], cwd=ROOT / "examples" / "go", check=True, timeout=BUILD_TIMEOUT_SECONDS
    )
    return str(program)


@pytest.fixture(scope="module")
def gateway(run_gateway):
    return run_gateway("rungateway")


@pytest.fixture
def run():
    """Returns a function that starts a program. All are stopped after the test."""
    started = []

    def start(command, cwd=ROOT):
        started.append(Program(command, cwd))
        return started[-1]

    yield start
    for program in started:
        program.stop()
