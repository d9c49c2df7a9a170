"""A port in front of Redis that can hold what is sent to it: the way of a write that was sent and arrives late."""

import socket
import threading
from contextlib import suppress

WRITE = 500
"""Bytes that are a batch, and no question whether the line lives."""


class Gate:
    """`address` stands for Redis; between `hold` and `release` no batch sent to it gets there, answers do come back."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open = threading.Event()
        self._open.set()
        self.holding = threading.Event()
        """Set once something waits."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._lines: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def close(self) -> None:
        self.release()
        for line in (self._listener, *self._lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for line in (self._listener, *self._lines):
            line.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._lines += client, server
                for ends in ((client, server, True), (server, client, False)):
                    self._threads.append(threading.Thread(target=self._pump, args=ends))
                    self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, held: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if held and len(data) > WRITE and not self._open.is_set():
                    self.holding.set()
                    self._open.wait()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
