"""Connects one accepted WebSocket to its session.

`FrontConnection` reads the client's frames, and passes the messages to the session. The session's outbox writes to
`FrontConnection`.
"""

import socket

from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.framing import ping_frame
from watchlist.gateway.front.extensions import Deflate
from watchlist.gateway.front.frames import (
    BinaryMessage,
    Close,
    Event,
    Failure,
    FailureCode,
    FrameReader,
    Ping,
    Pong,
    TextMessage,
    TooLarge,
    close_frame,
)
from watchlist.gateway.front.front_socket import FrontSocket
from watchlist.gateway.front.lingering import LingeringSockets, receive
from watchlist.gateway.protocol import MAX_MESSAGE_BYTES, CloseCode
from watchlist.gateway.sockets.access_lines import SOCKET, ConnectionAccess
from watchlist.gateway.sockets.admission import Admitted, open_session
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.session import Session

READ_BYTES = 16 * 1024
"""The most bytes of one read. A longer read could delay other clients."""
MAX_FRAME_BYTES = 1024 * 1024
"""A message above this size closes the socket with code 1009.

A smaller message above MAX_MESSAGE_BYTES closes the socket with code 4502.
"""


NO_STATUS = 1005
"""The close code that stands for a close frame without a code (RFC 6455)."""


class FrontConnection(FrontSocket):
    """One accepted WebSocket. `start` opens the session."""

    __slots__ = ("_compressor", "_reader")

    route = SOCKET

    def __init__(
        self,
        sock: socket.socket,
        connections: Connections,
        lingering: LingeringSockets,
        extension: Deflate | None = None,
        connection_id: str = "",
    ) -> None:
        super().__init__(sock, connections, lingering, ConnectionAccess(connection_id))
        self._compressor = None if extension is None else extension.compressor
        self._reader = FrameReader(MAX_MESSAGE_BYTES, extension)

    def start(self, admitted: Admitted) -> None:
        """Opens the session of a connection whose upgrade was accepted, and watches the socket."""
        context = self._connections.context
        self._lingering.poller.add(self._sock.fileno(), self)
        delivery = Delivery(batch=admitted.options.batch, compressor=self._compressor)
        outbox = Outbox(self, context.clock.now, delivery, context.limits.send_buffer, context.hub.counts)
        self._session = open_session(self._connections, outbox, admitted)

    # --- the transport of the outbox --------------------------------------------------------------------------------

    def send_ping(self) -> None:
        self._push(ping_frame())

    def close(self, code: int) -> None:
        self._access.code = int(code)
        self._send_close(int(code).to_bytes(2, "big"))

    def _send_close(self, code: bytes) -> None:
        if not self._closing:
            self._push(close_frame(code))
            self._closing = True

    def _push(self, frame: bytes) -> None:
        """Sends a frame after all waiting bytes."""
        sent = self.write(frame)
        if sent < len(frame):
            self.finish(frame[sent:])

    # --- the handler of the poller ----------------------------------------------------------------------------------

    def on_readable(self) -> None:
        data = receive(self._sock, READ_BYTES)
        if data is None:
            return
        if not data or self._session is None:  # no session: its opening has failed
            self._end()
            return
        now = self._connections.context.clock.now()
        for event in self._reader.read(data):
            session = self._session
            if session is None:  # an earlier frame has ended the connection
                return
            self._receive(session, event, now)

    def _receive(self, session: Session, event: Event, now: float) -> None:
        """Passes one event of the frame reader on to the session.

        Ends the session if the client sends frames too fast.
        """
        if not session.count_frame(now):
            self._depart()
        elif isinstance(event, TextMessage):
            self._access.messages += 1
            session.receive_text(event.text, now)
        elif isinstance(event, BinaryMessage):
            session.receive_bytes(now)
        elif isinstance(event, Ping):
            session.receive_ping(event.payload, now)
        elif isinstance(event, Pong):
            session.receive_pong(now)
        elif isinstance(event, Close | TooLarge | Failure):
            self._receive_last(session, event, now)

    def _receive_last(self, session: Session, event: Close | TooLarge | Failure, now: float) -> None:
        """Answers the client's last event with a close frame, and ends the session."""
        if isinstance(event, Close):
            if not self._closing:
                self._access.code = int.from_bytes(event.code[:2], "big") or NO_STATUS
            self._send_close(event.code)
        elif isinstance(event, Failure):
            self.close(event.code)
        elif event.size > MAX_FRAME_BYTES:
            self.close(FailureCode.TOO_LARGE)
        else:
            session.close(CloseCode.TOO_LARGE, now)
        self._depart()
