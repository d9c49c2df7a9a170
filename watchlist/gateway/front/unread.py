"""Holds accepted connections that have sent no byte yet.

Until the first byte arrives, a connection counts as an HTTP connection of its address. If no byte arrives within
FIRST_BYTE_SECONDS, the connection is closed.
"""

import socket
from collections.abc import Callable
from typing import Any, Protocol

from watchlist.gateway.front.lingering import close_socket
from watchlist.gateway.front.poller import Poller
from watchlist.gateway.sockets.address_counts import AddressCounts

FIRST_BYTE_SECONDS = 10.0
"""The time limit from connecting to the first byte."""


class HttpLimit(Protocol):
    """Limits how many HTTP connections one address may hold open."""

    counts: AddressCounts

    def find_address(self, host: str | None) -> str | None:
        """Returns the address under which a connection from `host` is counted.

        Returns None if the connection is not counted.
        """

    def is_exceeded(self, address: str, times: int = 1) -> bool:
        """Returns whether an address has more open HTTP connections than the limit multiplied by `times`."""


class UnreadSockets:
    """The connections that have sent no byte yet.

    `on_first_byte` is called with a socket and its peer when the first byte has arrived. `refuse` is called with a new
    socket if its address has too many HTTP connections. `clock` returns monotonic seconds.
    """

    def __init__(
        self,
        poller: Poller,
        limit: HttpLimit,
        clock: Callable[[], float],
        on_first_byte: Callable[[socket.socket, Any], None],
        refuse: Callable[[socket.socket], None],
    ) -> None:
        self._poller = poller
        self._limit = limit
        self._clock = clock
        self._on_first_byte = on_first_byte
        self._refuse = refuse
        self._sockets: dict[UnreadSocket, None] = {}  # in the order of their deadlines

    def __len__(self) -> int:
        return len(self._sockets)

    def add(self, sock: socket.socket, peer: Any) -> None:
        address = self._limit.find_address(peer[0])
        unread = UnreadSocket(self, sock, peer, address, self._clock() + FIRST_BYTE_SECONDS)
        if address is not None:
            self._limit.counts.add(address)
            if self._limit.is_exceeded(address):
                self._limit.counts.remove(address)
                self._refuse(sock)
                return
        self._sockets[unread] = None
        self._poller.add(sock.fileno(), unread)

    def take(self, unread: "UnreadSocket") -> None:
        """Calls `on_first_byte` for a socket whose first byte has arrived."""
        self._discard(unread)
        self._on_first_byte(unread.sock, unread.peer)

    def drop(self, unread: "UnreadSocket") -> None:
        self._discard(unread)
        close_socket(unread.sock)

    def sweep(self) -> None:
        """Closes each connection that has sent no byte before its deadline. Call this method about once per second."""
        now = self._clock()
        for unread in list(self._sockets):
            if unread.deadline > now:
                break
            self.drop(unread)

    def drop_older_half(self) -> int:
        """Closes the half of the sockets that connected first. Returns how many sockets were closed."""
        older = list(self._sockets)[: (len(self._sockets) + 1) // 2]
        for unread in older:
            self.drop(unread)
        return len(older)

    def close(self) -> None:
        """Closes all connections that have sent no byte yet."""
        for unread in list(self._sockets):
            self.drop(unread)

    def _discard(self, unread: "UnreadSocket") -> None:
        if unread in self._sockets:
            del self._sockets[unread]
            self._poller.remove(unread.sock.fileno())
            if unread.address is not None:
                self._limit.counts.remove(unread.address)


class UnreadSocket:
    """One connection that has sent no byte yet. `deadline` is in monotonic seconds."""

    __slots__ = ("_owner", "address", "deadline", "peer", "sock")

    def __init__(
        self, owner: UnreadSockets, sock: socket.socket, peer: Any, address: str | None, deadline: float
    ) -> None:
        self._owner = owner
        self.sock = sock
        self.peer = peer
        self.address = address
        self.deadline = deadline

    def on_readable(self) -> None:
        self._owner.take(self)

    def on_writable(self) -> None:
        """Does nothing: the gateway sends nothing until the client has sent its first byte."""

    def on_error(self) -> None:
        self._owner.drop(self)
