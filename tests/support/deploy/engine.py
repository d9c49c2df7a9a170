"""Runs a Docker engine of the tests' own, beside any other on this machine.

The engine makes no rules of iptables and no routes: containers reach each other, and nothing outside. Its images stay
in /var/lib/stockwatch-tests between runs.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.support.servers.processes import TIMEOUT_SECONDS
from tests.support.waiting import wait_until

CACHE = Path(__file__).resolve().parents[3] / "build" / "deploy"
DATA = Path("/var/lib/stockwatch-tests")
PROGRAMS = ("dockerd", "docker", "containerd", "runc")
OPTIONS = ("--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false", "--bridge=none")


class EngineNotStarted(RuntimeError):
    """No Docker engine can run on this machine. The message says what is missing."""


class Engine:
    """A Docker engine while it is used in a `with` statement."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{folder}/socket", "DOCKER_BUILDKIT": "0"}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        missing = [name for name in PROGRAMS if not shutil.which(name)]
        if missing:
            raise EngineNotStarted(f"no {missing[0]}: install it (Debian and Ubuntu: apt install docker.io)")
        if os.geteuid() != 0:
            raise EngineNotStarted("only root can start a Docker engine")
        with (self._folder / "engine.log").open("wb") as log:
            self._process = subprocess.Popen([*self._command()], stdout=log, stderr=log, start_new_session=True)
        wait_until(self._answers_or_ended, TIMEOUT_SECONDS, "the engine answers", interval=0.5)
        if self._process.poll() is not None:
            raise EngineNotStarted((self._folder / "engine.log").read_text()[-400:])
        self._clear()
        return self

    def _clear(self) -> None:
        """Removes the containers, volumes and networks of a run that was killed. Docker has started them again."""
        if containers := self.docker("ps", "--all", "--quiet").split():
            self.docker("rm", "--force", "--volumes", *containers)
        if volumes := self.docker("volume", "ls", "--quiet").split():
            self.docker("volume", "rm", *volumes)
        self.docker("network", "prune", "--force")

    def _command(self) -> list[str]:
        folders = ["--data-root", str(DATA), "--exec-root", str(self._folder / "exec")]
        return ["dockerd", *OPTIONS, *folders, "-p", str(self._folder / "pid"), "-H", self.environment["DOCKER_HOST"]]

    def _answers_or_ended(self) -> bool:
        assert self._process is not None
        command = ["docker", "version"]
        asked = subprocess.run(command, env=self.environment, capture_output=True, timeout=60, check=False)
        return asked.returncode == 0 or self._process.poll() is not None

    def __exit__(self, *_error: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(TIMEOUT_SECONDS)
        # The engine leaves this mount, which keeps its folder from being removed.
        left = self._folder / "exec" / "netns" / "default"
        subprocess.run(["umount", str(left)], capture_output=True, timeout=60, check=False)

    def docker(self, *arguments: str) -> str:
        """Runs the `docker` command. Returns what it prints, or fails with its error."""
        ended = subprocess.run(
            ["docker", *arguments], env=self.environment, capture_output=True, text=True, timeout=1800, check=False
        )
        assert ended.returncode == 0, f"docker {arguments[0]}: {(ended.stdout + ended.stderr)[-2000:]}"
        return ended.stdout.strip()

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        """Returns how Docker describes containers or images, in the order of their names."""
        return list(json.loads(self.docker("inspect", *names)))
