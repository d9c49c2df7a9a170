"""Describes the servers that can be measured: how to find a server, start it, and send updates to it."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.bench.peers.cases import Case
from tests.bench.peers.servers import centrifugo
from tests.bench.serving import ROOT
from tests.support.waiting import wait_until

SERVERS = "tests.bench.peers.servers"


@dataclass(frozen=True, slots=True)
class Stand:
    """The program, ports and folder of a server, and the case to measure.

    `program` is the path of the server's executable, or of its Python interpreter.
    """

    program: str
    port: int
    redis_port: int
    folder: Path
    case: Case


class Peer:
    """A server in Python that reads updates from the project's Redis channels.

    `packages` are the packages that its interpreter must have. The version of the first package is printed.
    """

    title = ""
    option = ""
    packages: tuple[str, ...] = ()
    path = "/"
    sends_newest = True
    """Whether the server sends the newest update of each symbol to a client that subscribes."""

    def find(self, given: str | None) -> str | None:
        """Returns the path of the program that runs the server; None if the server is not installed.

        `given` is the path from the command line, or None.
        """
        interpreter = given or sys.executable
        command = [interpreter, "-c", f"import {', '.join(self.packages)}"]
        try:
            return interpreter if subprocess.run(command, capture_output=True, check=False).returncode == 0 else None
        except OSError:
            return None

    def read_version(self, program: str) -> str:
        command = [program, "-c", f"from importlib.metadata import version; print(version('{self.packages[0]}'))"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def make_command(self, stand: Stand) -> list[str]:
        return [stand.program, "-m", f"{SERVERS}.{self.option}_broadcast", str(stand.port), str(stand.redis_port)]

    def make_environment(self, stand: Stand) -> dict[str, str]:
        return {}

    def make_publisher(self, stand: Stand, seconds: float) -> list[str]:
        return [sys.executable, "-m", "tests.bench.publisher", str(stand.redis_port), *self._pace(stand.case, seconds)]

    def make_request(self, case: Case) -> str:
        """Returns the first message of a client."""
        return case.names

    def wait_published(self, stand: Stand, _publisher: "subprocess.Popen[bytes]") -> None:
        """Waits until the publisher has published its first update."""
        with redis.Redis(port=stand.redis_port, protocol=2) as client:
            wait_until(lambda: "cmdstat_publish" in client.info("commandstats"), 120, "the first update")

    @staticmethod
    def _pace(case: Case, seconds: float) -> list[str]:
        return [str(case.symbols), str(case.hertz or 10), str(seconds)]


class Stockwatch(Peer):
    title = "stockwatch"
    option = "stockwatch"
    packages = ("daphne",)
    path = "/ws"

    def find(self, given: str | None) -> str | None:
        return given or sys.executable

    def read_version(self, program: str) -> str:
        git = ["git", "describe", "--always", "--dirty"]
        return subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    def make_command(self, stand: Stand) -> list[str]:
        address = ["--host", "127.0.0.1", "--port", str(stand.port)]
        return [stand.program, "manage.py", "rungateway", "--processes", "1", *address]

    def make_environment(self, stand: Stand) -> dict[str, str]:
        variables = {
            "REDIS_ADDR": f"127.0.0.1:{stand.redis_port}",
            "DATABASE_URL": f"sqlite:///{stand.folder}/peers.sqlite3",
            "GATEWAY_VALID_TICKERS": ",".join(json.loads(stand.case.names)),
            "GATEWAY_MAX_CONNECTIONS": "0",
            "GATEWAY_MAX_PER_ADDRESS": "0",
        }
        migrate = [stand.program, "manage.py", "migrate", "-v0"]
        subprocess.run(migrate, cwd=ROOT, env=os.environ | variables, check=True)
        return variables


class Centrifugo(Peer):
    title = "Centrifugo"
    option = "centrifugo"
    path = centrifugo.PATH

    def find(self, given: str | None) -> str | None:
        return shutil.which(given or "centrifugo")

    def read_version(self, program: str) -> str:
        text = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
        version = re.search(r"v?(\d+\.\d+\.\d+)", text)
        # A binary of `go install` does not know its version.
        return version[1] if version and version[1] != "0.0.0" else "built from source"

    def make_command(self, stand: Stand) -> list[str]:
        file = stand.folder / "centrifugo.json"
        file.write_text(json.dumps(centrifugo.make_configuration(stand.port)))
        return [stand.program, "--config", str(file)]

    def make_publisher(self, stand: Stand, seconds: float) -> list[str]:
        return [sys.executable, "-m", f"{SERVERS}.centrifugo", str(stand.port), *self._pace(stand.case, seconds)]

    def make_request(self, case: Case) -> str:
        return centrifugo.make_request(case.symbols)

    def wait_published(self, _stand: Stand, publisher: "subprocess.Popen[bytes]") -> None:
        assert publisher.stdout is not None
        publisher.stdout.readline()


class Websockets(Peer):
    title = "websockets, `broadcast`"
    option = "websockets"
    packages = ("websockets",)


class Picows(Peer):
    title = "picows"
    option = "picows"
    packages = ("picows",)


class Tutorial(Peer):
    """The consumer from the tutorial of Django Channels, run by an ASGI server."""

    sends_newest = False

    def make_command(self, stand: Stand) -> list[str]:
        options = {
            "uvicorn": ["--port", str(stand.port), "--log-level", "error", "--lifespan", "off", "--backlog", "4096"],
            "daphne": ["-p", str(stand.port), "-v", "0"],
        }[self.option]
        return [stand.program, "-m", self.option, *options, f"{SERVERS}.channels_tutorial:application"]

    def make_environment(self, stand: Stand) -> dict[str, str]:
        return {"CHANNELS_REDIS_PORT": str(stand.redis_port)}

    def make_publisher(self, stand: Stand, seconds: float) -> list[str]:
        publisher = [stand.program, "-m", f"{SERVERS}.channels_publisher", str(stand.redis_port)]
        return [*publisher, *self._pace(stand.case, seconds)]


class Uvicorn(Tutorial):
    title = "Channels tutorial, uvicorn"
    option = "uvicorn"
    packages = ("uvicorn", "channels", "channels_redis", "websockets")


class Daphne(Tutorial):
    title = "Channels tutorial, Daphne"
    option = "daphne"
    packages = ("daphne", "channels", "channels_redis")


PEERS: tuple[Peer, ...] = (Stockwatch(), Centrifugo(), Picows(), Websockets(), Uvicorn(), Daphne())
