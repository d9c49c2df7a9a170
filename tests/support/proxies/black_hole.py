"""A TCP proxy that can stop forwarding while it keeps the connections open.

A router that has lost its table of connections has the same effect.
"""

import socket
import threading
from contextlib import suppress

from tests.support.proxies.tcp_proxy import CHUNK_BYTES, TcpProxy

Modes = dict[str, str]
"""A dict from direction (`up` or `down`) to fault: `swallow`, `stall`, or empty for normal forwarding."""


class BlackHoleProxy(TcpProxy):
    """A proxy with two methods, `swallow` and `stall`, that stop the forwarding of all open connections.

    `swallow` reads and discards all further bytes, so that the sender still gets TCP acknowledgements. `stall` reads no
    further bytes, so that the sender's TCP window fills. Connections stay open. If `catch_new` is true, the fault also
    applies to later connections, until `recover` is called.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._modes: list[Modes] = []
        self._catch = ""
        self._closing = threading.Event()
        super().__init__(target)

    def swallow(self, direction: str = "both", *, catch_new: bool = False) -> None:
        """Discards all further bytes of the open connections.

        `direction` is `up` (to the server), `down` (to the client), or `both`.
        """
        self._change("swallow", direction, catch_new)

    def stall(self, direction: str = "both", *, catch_new: bool = False) -> None:
        self._change("stall", direction, catch_new)

    def recover(self) -> None:
        """Forwards new connections normally again. Connections with a fault keep the fault."""
        self._catch = ""

    def __enter__(self) -> "BlackHoleProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connection_state(self) -> Modes:
        self._modes.append({"up": self._catch, "down": self._catch})
        return self._modes[-1]

    def unblock(self) -> None:
        self._closing.set()

    def forward(self, source: socket.socket, target: socket.socket, modes: Modes, to_server: bool) -> None:
        direction = "up" if to_server else "down"
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if modes[direction] == "stall":
                    self._closing.wait()
                if not modes[direction]:
                    target.sendall(data)
        if not modes[direction]:
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

    def _change(self, mode: str, direction: str, catch_new: bool) -> None:
        self._catch = mode if catch_new else ""
        for modes in self._modes:
            modes.update(dict.fromkeys(("up", "down") if direction == "both" else (direction,), mode))
