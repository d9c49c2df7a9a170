"""Connects one accepted stream to its session."""

import socket
from contextlib import suppress

from watchlist.gateway.front.front_socket import FrontSocket
from watchlist.gateway.front.lingering import LingeringSockets, receive
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.access_lines import STREAM, ConnectionAccess
from watchlist.gateway.sockets.admission import Admitted
from watchlist.gateway.sockets.connections import SWEEP_SECONDS, Connections
from watchlist.gateway.streams.stream_query import StreamQuery
from watchlist.gateway.streams.stream_session import open_stream

MAX_MILLISECONDS = 2**31 - 1
"""The longest time that the kernel takes for TCP_USER_TIMEOUT."""
READ_BYTES = 16 * 1024
MAX_INPUT_BYTES = 64 * 1024
"""The most bytes that a client may send after its request. The gateway drops these bytes."""


class FrontStream(FrontSocket):
    """One accepted stream. `start` opens the session.

    The response has no Content-Length and no chunks. The response ends when the connection ends.
    """

    __slots__ = ("_input_bytes",)

    route = STREAM

    def __init__(
        self, sock: socket.socket, connections: Connections, lingering: LingeringSockets, connection_id: str = ""
    ) -> None:
        super().__init__(sock, connections, lingering, ConnectionAccess(connection_id, code=None))
        self._input_bytes = 0

    def start(self, admitted: Admitted, query: StreamQuery) -> None:
        """Opens the session of a stream whose head was sent, and watches the socket."""
        self._limit_silence()
        self._lingering.poller.add(self._sock.fileno(), self)
        self._session = open_stream(self._connections, self, admitted, query)

    def _limit_silence(self) -> None:
        """Makes the kernel end the connection if the client's machine confirms no sent bytes for `limits.pong_wait`.

        The client of a stream sends nothing, so the gateway itself cannot notice that the machine is unreachable.
        """
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            limits = self._connections.context.limits
            # A client that does not read also confirms no bytes. The gateway closes its stream after `write_wait`. The
            # kernel must not end the connection earlier.
            seconds = max(limits.pong_wait, limits.write_wait + SWEEP_SECONDS)
            milliseconds = min(int(seconds * 1000), MAX_MILLISECONDS)
            with suppress(OSError):  # the client has left
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    # --- the transport of the outbox --------------------------------------------------------------------------------

    def send_ping(self) -> None:
        """Does nothing: streams have comments instead of pings."""

    def close(self, code: int) -> None:
        """Ends the response. With the code SLOW, resets the connection, because the client does not read."""
        if code == CloseCode.SLOW:
            self._end(reset=True)
        else:
            self._depart()

    # --- the handler of the poller ----------------------------------------------------------------------------------

    def on_readable(self) -> None:
        data = receive(self._sock, READ_BYTES)
        if data is None:
            return
        self._input_bytes += len(data)
        if not data or self._session is None or self._input_bytes > MAX_INPUT_BYTES:
            self._end(reset=bool(data))
