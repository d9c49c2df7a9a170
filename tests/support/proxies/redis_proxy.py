"""A TCP proxy for Redis that can delay writes."""

import socket
import threading
from contextlib import suppress

from tests.support.proxies.tcp_proxy import CHUNK_BYTES, TcpProxy

MIN_BATCH_BYTES = 500
"""Data with more bytes than this is a batch of updates. Shorter data may be a health check of the connection."""


class RedisProxy(TcpProxy):
    """A proxy that holds back batches of updates between `hold` and `release`.

    Replies of Redis are always forwarded.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._open = threading.Event()
        self._open.set()
        self.holding = threading.Event()
        """An event that is set when a batch is held back for the first time."""
        super().__init__(target)

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def unblock(self) -> None:
        self.release()

    def forward(self, source: socket.socket, target: socket.socket, _state: None, to_server: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if to_server and len(data) > MIN_BATCH_BYTES and not self._open.is_set():
                    self.holding.set()
                    self._open.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
