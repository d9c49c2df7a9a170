"""Starts the relay as a child process of a gateway, and starts a dead relay again.

The relay passes prices from Redis on to all processes of the gateway. The parent keeps the relay's socket open, so that
gateway processes can connect while no relay runs.
"""

import os
import socket
import subprocess
import sys
import time

import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

BACKLOG = 1024
MIN_LIFETIME_SECONDS = 1.0
"""The shortest time between two starts of the relay."""
STOP_SECONDS = 2.0
"""How long the relay may take to end after SIGTERM."""


class RelayChild:
    """The child process that runs the module `relay`. `listener` is a Unix socket that listens at `path`."""

    def __init__(self, listener: socket.socket, path: str) -> None:
        self.path = path
        self._listener = listener
        self._start()

    @classmethod
    def open(cls, folder: str) -> "RelayChild | None":
        """Starts a relay whose socket is in `folder`.

        Returns None if no socket can be bound there, for example because the path is too long.
        """
        listener, path = socket.socket(socket.AF_UNIX), os.path.join(folder, "relay")
        try:
            listener.bind(path)
        except OSError as error:
            listener.close()
            log.warning("no relay: each gateway process subscribes to Redis", reason=str(error))
            return None
        listener.listen(BACKLOG)
        return cls(listener, path)

    def restart_if_dead(self) -> None:
        """Starts the relay again if it has died. Returns immediately. Call this method repeatedly."""
        if self._process.poll() is None:
            return
        lifetime = time.monotonic() - self._started_at
        if lifetime >= MIN_LIFETIME_SECONDS:
            log.error("relay died, restarting", status=self._process.returncode)
            self._start()

    def stop(self) -> None:
        """Ends the relay. Call this method when no gateway process runs."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.close()

    def _start(self) -> None:
        command = [sys.executable, "-m", "stockwatch.serving.relay", str(self._listener.fileno()), str(os.getpid())]
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603
            command, pass_fds=[self._listener.fileno()], cwd=settings.BASE_DIR, start_new_session=True
        )
