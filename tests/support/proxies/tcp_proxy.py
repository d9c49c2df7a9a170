"""The base class of TCP proxies that cause faults."""

import socket
import threading
from contextlib import suppress
from typing import Any

CHUNK_BYTES = 65_536


class TcpProxy:
    """A TCP proxy that listens at `host` and `port`. A subclass defines `forward`.

    Each connection has two threads, one for each direction. Each thread runs `forward`.
    """

    host = "127.0.0.1"

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        """The address to which new connections are forwarded."""
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self.address = f"{self.host}:{self.port}"
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def connection_state(self) -> Any:
        """Returns the argument `state` of `forward` for a new connection."""

    def forward(self, source: socket.socket, target: socket.socket, state: Any, to_server: bool) -> None:
        """Forwards bytes from `source` to `target` until `source` ends. May raise OSError."""
        raise AssertionError("a proxy says how it forwards")

    def unblock(self) -> None:
        """Wakes the threads that wait in `forward`, so that the threads can end."""

    def close(self) -> None:
        self.unblock()
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
                try:
                    server = socket.create_connection(self.target)
                except ConnectionRefusedError:  # the server has stopped, and may start again
                    client.close()
                    continue
                self._sockets += client, server
                state = self.connection_state()
                for arguments in ((client, server, state, True), (server, client, state, False)):
                    self._threads.append(threading.Thread(target=self.forward, args=arguments))
                    self._threads[-1].start()
