"""A TCP proxy for Redis that can delay writes, so that a write arrives late."""

import socket
import threading
from contextlib import suppress

MIN_BATCH_BYTES = 500
"""Larger data is a batch of updates, and not a health check of the connection."""


class RedisProxy:
    """Listens at `address`. Between `hold` and `release` it forwards no batch to Redis; replies are forwarded."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        """Where new connections lead."""
        self._open = threading.Event()
        self._open.set()
        self.holding = threading.Event()
        """Set as soon as a batch waits."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def close(self) -> None:
        self.release()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.target)
                self._sockets += client, server
                for arguments in ((client, server, True), (server, client, False)):
                    self._threads.append(threading.Thread(target=self._forward, args=arguments))
                    self._threads[-1].start()

    def _forward(self, source: socket.socket, target: socket.socket, may_hold: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if may_hold and len(data) > MIN_BATCH_BYTES and not self._open.is_set():
                    self.holding.set()
                    self._open.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
