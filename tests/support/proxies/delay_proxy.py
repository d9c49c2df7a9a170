"""A TCP proxy that can delay what the server sends."""

import socket
import threading
import time
from contextlib import suppress
from queue import SimpleQueue

from tests.support.proxies.tcp_proxy import CHUNK_BYTES, TcpProxy


class DelayProxy(TcpProxy):
    """A proxy that forwards what the server sends `delay` seconds later. A test may change `delay` at any time.

    What the client sends is not delayed.
    """

    delay = 0.0

    def __init__(self, target: tuple[str, int]) -> None:
        self._closing = threading.Event()
        super().__init__(target)

    def __enter__(self) -> "DelayProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def unblock(self) -> None:
        self._closing.set()

    def forward(self, source: socket.socket, target: socket.socket, _state: None, to_server: bool) -> None:
        chunks: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        sender = threading.Thread(target=self._send, args=(target, chunks))
        sender.start()
        data = b"-"
        while data:
            data = b""
            with suppress(OSError):
                data = source.recv(CHUNK_BYTES)
            chunks.put((time.monotonic() + (0.0 if to_server else self.delay), data))
        sender.join()

    def _send(self, target: socket.socket, chunks: "SimpleQueue[tuple[float, bytes]]") -> None:
        """Sends each chunk when its time has come. An empty chunk ends the connection."""
        with suppress(OSError):
            while True:
                due, data = chunks.get()
                self._closing.wait(max(due - time.monotonic(), 0.0))
                if not data:
                    break
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
