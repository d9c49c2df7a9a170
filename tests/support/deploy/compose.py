"""Runs docker-compose.yml with Docker Compose on an engine of the tests' own."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import yaml

from stockwatch.local.redis_server import free_port
from tests.support.deploy.engine import CACHE, Engine, EngineNotStarted
from tests.support.deploy.images import PREFIX, ROOT
from tests.support.waiting import wait_until

PROJECT = "stockwatch"
"""The name of the project in docker-compose.yml."""
OTHER_SUBNET = "172.29.65.0/24"
"""The network of a stack under another name. Docker refuses networks that overlap."""
VERSION = "v2.40.3"
MODULE = f"github.com/docker/compose/v2@{VERSION}"
IMAGES = {
    "kafka-1": "kafka",
    "kafka-2": "kafka",
    "kafka-3": "kafka",
    "valkey": "valkey",
    "postgres": "postgres",
    "proxy": "nginx",
    "prometheus": "prometheus",
    "redis-exporter": "redis-exporter",
}
"""The stand-in of each service that the tests start with one."""
HEALTHY_SECONDS = 300.0
SECRET_KEY = "tests-only-" + "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
ONE_SHOT = ("certificate", "migrate")
LONG_RUNNING = sorted(
    name for name, service in SERVICES.items() if name not in ONE_SHOT and not service.get("profiles")
)
"""The services that `docker compose up` starts and that do not end."""


def compose_binary() -> Path:
    """Returns the path of Docker Compose. Builds it from its Go module the first time."""
    binary = CACHE / f"docker-compose-{VERSION}"
    if binary.exists():
        return binary
    if not shutil.which("go"):
        raise EngineNotStarted("no Go to build Docker Compose: install Go 1.24 or newer")
    environment = {**os.environ, "GOFLAGS": "-mod=mod"}
    download = ["go", "mod", "download", "-json", MODULE]
    downloaded = subprocess.run(download, env=environment, capture_output=True, text=True, timeout=600, check=True)
    source = CACHE / "compose"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(json.loads(downloaded.stdout)["Dir"], source)
    subprocess.run(["chmod", "-R", "u+w", str(source)], timeout=60, check=True)
    subprocess.run(["go", "build", "-o", str(binary), "./cmd"], cwd=source, env=environment, timeout=3000, check=True)
    shutil.rmtree(source)
    return binary


class Stack:
    """The project in containers: a copy of what Compose needs, with a `.env` and a file that names the stand-ins.

    `project` is the name under which Compose keeps containers, volumes and networks. Two stacks with the same name
    share them, and `down` of one removes those of the other.
    """

    def __init__(self, engine: Engine, folder: Path, project: str = PROJECT, **variables: str) -> None:
        self.engine = engine
        self.project = project
        self.port = free_port()
        self.folder = folder
        folder.mkdir()
        shutil.copy(ROOT / "docker-compose.yml", folder)
        shutil.copytree(ROOT / "deploy", folder / "deploy")
        origin = f"https://localhost:{self.port}"
        named = {"CSRF_TRUSTED_ORIGINS": origin, "GATEWAY_ALLOWED_ORIGINS": origin, "SITE_URL": origin, **variables}
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in named.items()))
        (folder / "docker-compose.override.yml").write_text(self._override())

    def _override(self) -> str:
        lines = ["services:"]
        for name, service in SERVICES.items():
            image = f"image: {PREFIX}/{IMAGES[name]}, pull_policy: never, " if name in IMAGES else ""
            ports = f'!override ["127.0.0.1:{self.port}:8443"]' if name == "proxy" else "!reset []"
            if image or service.get("ports"):
                lines.append(f"  {name}: {{{image}ports: {ports}}}")
        if self.project != PROJECT:
            lines.append(f"networks: {{default: {{ipam: {{config: !override [{{subnet: {OTHER_SUBNET}}}]}}}}}}")
        return "\n".join(lines) + "\n"

    def compose(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(compose_binary()), "--project-name", self.project, *arguments],
            cwd=self.folder,
            env=self.engine.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def up(self, *services: str) -> None:
        """Starts the services, or all without a profile, and waits until they are healthy."""
        ended = self.compose("up", "--detach", "--no-build", "--wait", *services)
        assert ended.returncode == 0, ended.stderr[-2000:] + self._describe()

    def _describe(self) -> str:
        """Returns the states of all containers and the last lines of those that are not healthy, for a failed test."""
        listed = self.compose("ps", "--all", "--format", "{{.Service}} {{.Health}} {{.Status}}").stdout
        ill = [line.split()[0] for line in listed.splitlines() if " healthy " not in line]
        return listed + (self.compose("logs", "--no-color", "--tail", "20", *ill).stdout if ill else "")

    def down(self, *options: str) -> None:
        ended = self.compose("--profile", "*", "down", *options)
        assert ended.returncode == 0, ended.stderr[-2000:]

    def run(self, service: str, *command: str, text: str = "") -> str:
        """Runs a command in the container of a service. Returns what it prints."""
        ended = self.compose("exec", "--no-TTY", service, *command, text=text)
        assert ended.returncode == 0, ended.stderr[-2000:]
        return ended.stdout

    def shell(self, code: str) -> str:
        """Runs Python code with Django in the container of web. Returns what it prints."""
        return self.run("web", "python", "manage.py", "shell", "--no-imports", "--command", code)

    def state(self, service: str) -> dict[str, Any]:
        """Returns how Docker describes the container of a service."""
        [found] = self.states(service)
        return found

    def states(self, *services: str) -> list[dict[str, Any]]:
        """Returns how Docker describes the containers of services. Asks Docker once."""
        return self.engine.inspect(*(f"{self.project}-{service}-1" for service in services))

    def wait_until_healthy(self, *services: str) -> None:
        """Waits until the services, or all of LONG_RUNNING, are healthy."""
        wait_until(
            lambda: all(is_healthy(state) for state in self.states(*(services or LONG_RUNNING))),
            HEALTHY_SECONDS,
            f"{', '.join(services) or 'all'} healthy",
            interval=0.5,
        )

    def kill(self, service: str) -> None:
        """Kills the main process of a service, as a crash or a lack of memory does. Docker starts it again."""
        os.kill(self.state(service)["State"]["Pid"], signal.SIGKILL)

    def wait_for_restart(self, service: str, started: str) -> None:
        """Waits until a service that started at `started` runs again and is healthy."""
        wait_until(
            lambda: (state := self.state(service))["State"]["StartedAt"] != started and is_healthy(state),
            HEALTHY_SECONDS,
            f"{service} is healthy again",
            interval=0.5,
        )


def is_healthy(state: dict[str, Any]) -> bool:
    """Returns whether the health check of a container, as Docker describes it, has passed."""
    return str(state["State"].get("Health", {}).get("Status")) == "healthy"
