"""Runs a real gateway process with its own database file. A test chooses the server, such as Daphne."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from feeds import wire
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.gateway.tls_tunnel import TlsTunnel
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
FRAME_TIMEOUT_SECONDS = 60.0
"""How long a test waits for a frame. The time is long, because the machine may be busy."""
START_TIMEOUT_SECONDS = 300.0
"""How long a gateway may take to start. The time is long, because the machine may be busy."""
SERVERS = ("rungateway", "daphne", "daphne over TLS", "uvicorn")
"""The commands that can run the gateway: with the front, with Daphne, with Daphne and TLS, and with uvicorn."""
DIRECT_SERVERS = SERVERS[:3]
"""The servers with which the gateway writes directly to the connection, without the server."""
SYMBOLS = ("AAPL", "GOOG", "TSLA", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X")


def make_database(folder: Path) -> Path:
    """Creates a migrated SQLite file with the tickers of SYMBOLS."""
    file = folder / "template.sqlite3"
    rows = [
        {"model": "feeds.ticker", "pk": number, "fields": {"symbol": symbol, "name": symbol, "base_price": 100.0}}
        for number, symbol in enumerate(SYMBOLS, 1)
    ]
    fixture = folder / "tickers.json"
    fixture.write_text(json.dumps(rows))
    variables = os.environ | {"DATABASE_URL": f"sqlite:///{file}"}
    for command in (["migrate"], ["loaddata", str(fixture)]):
        subprocess.run([sys.executable, "manage.py", *command, "-v0"], cwd=ROOT, env=variables, check=True)
    return file


def make_certificate(folder: Path) -> Path:
    """Creates a key and a self-signed certificate for 127.0.0.1, in one file."""
    file = folder / "certificate.pem"
    kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    openssl = ["openssl", "req", *kind, *name, "-keyout", str(file), "-out", str(file)]
    subprocess.run(openssl, check=True, capture_output=True)
    return file


class GatewayProcess:
    """A gateway in its own process. `command` is a name that `_make_command` knows.

    `variables` are added to the environment of the process.
    """

    def __init__(self, folder: Path, database: Path, redis_server: RedisServer, command: str, **variables: str) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / f"{self.port}.log"
        self.database = folder / f"{self.port}.sqlite3"
        shutil.copy(database, self.database)
        self.project = ROOT
        """The folder of the program. A test may set a copy before the start."""
        self.launcher: list[str] = []
        """A command that runs the gateway's command, its last arguments. A test may set it before the start."""
        self._tunnel: TlsTunnel | None = None
        self._command = self._make_command(command, folder)
        self.variables = {
            "APP_PORT": self.address,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "REDIS_ADDR": redis_server.address,
            "GATEWAY_RATE_PER_SECOND": "1000",
            "GATEWAY_RATE_BURST": "1000",
            "GATEWAY_DRAIN": "200ms",
            "GATEWAY_MAX_PER_ADDRESS": "0",
            "GATEWAY_MAX_HTTP_PER_ADDRESS": "0",
            "GATEWAY_PROCESSES": "1",
            "TMPDIR": str(folder),  # a killed parent leaves its folder
            **variables,
        }
        self.redis = redis.Redis(host=redis_server.host, port=redis_server.port, protocol=2)
        self.sequence = time.time_ns() // 1000
        self.process: subprocess.Popen[bytes] | None = None

    def _make_command(self, name: str, folder: Path) -> list[str]:
        daphne = [sys.executable, "-m", "daphne"]
        port = ["-p", str(self.port)]
        timers = ["--ping-interval", "1", "--ping-timeout", "1", "--websocket_timeout", "1"]
        uvicorn = [sys.executable, "-m", "uvicorn", "--port", str(self.port), "--ws", "websockets-sansio"]
        application = "stockwatch.asgi:application"
        commands = {
            "rungateway": [sys.executable, "manage.py", "rungateway"],
            "daphne": [*daphne, *port, application],
            "daphne with timers": [*daphne, *port, *timers, application],
            "uvicorn": [*uvicorn, "--lifespan", "off", "--no-proxy-headers", application],
            "runserver": [sys.executable, "manage.py", "runserver", "--noreload", self.address],
        }
        if name == "daphne over TLS":
            return [*daphne, "-e", self._start_tunnel(folder), application]
        return commands[name]

    def _start_tunnel(self, folder: Path) -> str:
        """Opens a port without TLS that forwards to a TLS port. Returns the TLS port as Twisted's endpoint string."""
        target, certificate = free_port(), make_certificate(folder)
        self._tunnel = TlsTunnel(self.port, target, ssl.create_default_context(cafile=certificate))
        return f"ssl:{target}:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"

    def start(self) -> "GatewayProcess":
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*self.launcher, *self._command],
                cwd=self.project,
                env=os.environ | self.variables,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._answers, START_TIMEOUT_SECONDS, f"start of the gateway:\n{self.log.read_text()}")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the gateway ended:\n{self.log.read_text()}"
        try:
            return self.get("/livez")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """Returns the value of a metric; 0 if the metric is missing.

        `name` is the full name with labels, but without the prefix `stockwatch_`.
        """
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"stockwatch_{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def connect(self, query: str = "", **options: object) -> ClientConnection:
        options.setdefault("compression", None)
        options.setdefault("ping_interval", None)
        return connect(f"ws://{self.address}/ws{query}", **options)

    def publish(self, symbol: str, price: float = 100.0) -> wire.Update:
        """Writes and publishes one update, as the processor does. Returns the update."""
        self.sequence += 1
        update = wire.Update(symbol, price, self.sequence, self.sequence)
        self.redis.set(wire.stock_key(symbol), wire.encode(update))
        self.redis.publish(wire.channel_name(symbol), wire.encode(update))
        return update

    def publish_burst(self, symbol: str, count: int) -> wire.Update:
        """Publishes updates in one transaction, so that Redis delivers them together. Returns the last update."""
        with self.redis.pipeline(transaction=True) as pipe:
            for _ in range(count):
                self.sequence += 1
                update = wire.Update(symbol, 100.0, self.sequence, self.sequence)
                pipe.set(wire.stock_key(symbol), wire.encode(update))
                pipe.publish(wire.channel_name(symbol), wire.encode(update))
            pipe.execute()
        return update

    def signal(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(60)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._tunnel:
            self._tunnel.close()
            self._tunnel = None
        self.redis.close()


def find_children(gateway: GatewayProcess, argument: str) -> list[int]:
    """Returns the process ids of the gateway's child processes that have this argument in their command."""
    assert gateway.process is not None
    parent = str(gateway.process.pid)
    output = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", parent], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in output.splitlines() if argument in line.split()]


def find_workers(gateway: GatewayProcess) -> list[int]:
    """Returns the process ids of the gateway's worker processes."""
    return find_children(gateway, "--worker")


def find_relay(gateway: GatewayProcess) -> int:
    """Returns the process id of the gateway's relay; 0 if no relay runs."""
    return next(iter(find_children(gateway, "stockwatch.serving.relay")), 0)


def served_by(client: ClientConnection) -> int:
    """Returns the id of the process that holds the other end of a client's socket; 0 if it is unknown."""
    return find_serving_process(client.remote_address[1], client.local_address[1])


def find_serving_process(port: int, client_port: int) -> int:
    """Returns the id of the process that serves a connection from `client_port` to `port`; 0 if it is unknown."""
    # Connections of other programs can have the same client port, if they lead to other ports.
    command = ["ss", "-tnpH", f"sport = :{port} and dport = :{client_port}"]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if "pid=" in line:
            return int(line.partition("pid=")[2].partition(",")[0])
    return 0


def runs(pid: int) -> bool:
    """Returns whether a process runs; a zombie does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def count_listeners(gateway: GatewayProcess) -> int:
    """Returns how many processes listen on the gateway's port."""
    output = subprocess.run(["ss", "-ltnH", f"sport = :{gateway.port}"], capture_output=True, text=True).stdout
    return len(output.splitlines())


def receive_frame(socket: ClientConnection) -> dict[str, object]:
    """Returns the next frame as a parsed JSON value."""
    value = json.loads(socket.recv(timeout=FRAME_TIMEOUT_SECONDS))
    assert isinstance(value, dict)
    return value


def receive_frame_of_type(socket: ClientConnection, frame_type: str) -> dict[str, object]:
    """Skips frames of other types. Returns the next frame of this type."""
    while (value := receive_frame(socket)).get("type") != frame_type:
        pass
    return value


def receive_close_code(socket: ClientConnection) -> int | None:
    """Reads until the connection is closed. Returns the close code."""
    with suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=FRAME_TIMEOUT_SECONDS)
    return socket.close_code
