"""Writes to one accepted socket, and ends the session and the socket together.

`FrontSocket` is the part that WebSockets and streams have in common.
"""

import socket

from watchlist.gateway.front.lingering import LingeringSockets, close_socket
from watchlist.gateway.sockets.access_lines import ConnectionAccess, access_lines
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.session import Session


class FrontSocket:
    """One accepted socket and its session. The session's outbox writes to this object.

    Subclasses open the session, and read what the client sends.
    """

    __slots__ = ("_access", "_closing", "_connections", "_ended", "_lingering", "_rest", "_session", "_sock")

    direct = True
    route = ""

    def __init__(
        self, sock: socket.socket, connections: Connections, lingering: LingeringSockets, access: ConnectionAccess
    ) -> None:
        self._sock = sock
        self._connections = connections
        self._lingering = lingering
        self._access = access
        self._session: Session | None = None
        self._rest: bytes | None = None
        """Bytes that the socket has not taken yet. None if the socket has taken all bytes."""
        self._closing = False  # True if no byte may follow the bytes that were passed to `write` and `finish`
        self._ended = False

    # --- the transport of the outbox --------------------------------------------------------------------------------

    def write(self, block: bytes) -> int:
        if self._rest is not None or self._closing or self._ended:
            return 0
        try:
            return self._sock.send(block)
        except OSError:
            # The socket is full or broken. `on_readable` notices a broken socket.
            return 0

    def finish(self, rest: bytes) -> None:
        if not self._ended:
            self._rest = (self._rest or b"") + rest
            self._lingering.poller.wait_writable(self._sock.fileno(), True)

    def abort(self) -> None:
        self._end(reset=True)

    def release(self) -> None:
        """Does nothing, because the connection releases its session in `_end_session`."""

    @property
    def connection_id(self) -> str:
        return self._access.connection_id

    # --- the handler of the poller ----------------------------------------------------------------------------------

    def on_writable(self) -> None:
        if self._rest:
            try:
                self._rest = self._rest[self._sock.send(self._rest) :]
            except OSError:
                return  # As in `write`.
        if not self._rest:
            self._rest = None
            self._lingering.poller.wait_writable(self._sock.fileno(), False)
            if self._session is not None:
                self._session.outbox.resume()

    def on_error(self) -> None:
        self._end(reset=True)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _depart(self) -> None:
        """Ends the session. The socket stays open for a short time, so that the client can receive all bytes."""
        if not self._ended:
            self._ended = True
            self._lingering.add(self._sock, self._rest or b"", watched=True)
            self._end_session()

    def _end(self, *, reset: bool = False) -> None:
        """Ends the session and closes the socket. If `reset` is True, drops unsent bytes and resets the connection."""
        if not self._ended:
            self._ended = True
            self._lingering.poller.remove(self._sock.fileno())
            close_socket(self._sock, reset=reset)
            self._end_session()

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._connections.end(session)
            access_lines.note_end(self.route, session, self._access)
