"""A TCP proxy whose connections can turn into black holes, as behind a NAT that has forgotten them."""

import socket
import threading
from contextlib import suppress


class BlackHoleProxy:
    """Listens at `host` and `port`.

    `swallow` reads and discards all further bytes of the open connections, so that the peers get acknowledgements.
    `stall` stops reading them, so that their windows fill. Neither closes a connection. Later connections work unless
    `catch_new` is set.
    """

    host = "127.0.0.1"

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._modes: list[dict[str, str]] = []
        self._catch = ""
        self._closing = threading.Event()
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self.address = f"{self.host}:{self.port}"
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def swallow(self, direction: str = "both", *, catch_new: bool = False) -> None:
        """`direction`: `up` to the server, `down` to the client, or `both`."""
        self._change("swallow", direction, catch_new)

    def stall(self, direction: str = "both", *, catch_new: bool = False) -> None:
        self._change("stall", direction, catch_new)

    def recover(self) -> None:
        """Lets new connections through again. Those that were caught stay dead."""
        self._catch = ""

    def close(self) -> None:
        self._closing.set()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def __enter__(self) -> "BlackHoleProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _change(self, mode: str, direction: str, catch_new: bool) -> None:
        self._catch = mode if catch_new else ""
        for modes in self._modes:
            modes.update(dict.fromkeys(("up", "down") if direction == "both" else (direction,), mode))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += client, server
                modes = {"up": self._catch, "down": self._catch}
                self._modes.append(modes)
                for source, target, direction in ((client, server, "up"), (server, client, "down")):
                    thread = threading.Thread(target=self._forward, args=(source, target, modes, direction))
                    self._threads.append(thread)
                    thread.start()

    def _forward(self, source: socket.socket, target: socket.socket, modes: dict[str, str], direction: str) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if modes[direction] == "stall":
                    self._closing.wait()
                if not modes[direction]:
                    target.sendall(data)
        if not modes[direction]:
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
