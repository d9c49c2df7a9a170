"""Connects one accepted socket to its session.

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
from watchlist.gateway.front.lingering import LingeringSockets, close_socket
from watchlist.gateway.protocol import MAX_MESSAGE_BYTES, CloseCode
from watchlist.gateway.sockets.admission import Admitted
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.session import Session

READ_BYTES = 16 * 1024
"""The most bytes of one read. A longer read could delay other clients."""
MAX_FRAME_BYTES = 1024 * 1024
"""A message above this size closes the socket with code 1009.

A smaller message above MAX_MESSAGE_BYTES closes the socket with code 4502.
"""


class FrontConnection:
    """One accepted socket. `start` opens the session."""

    __slots__ = (
        "_closing",
        "_compressor",
        "_connections",
        "_ended",
        "_lingering",
        "_reader",
        "_rest",
        "_session",
        "_sock",
    )

    direct = True

    def __init__(
        self,
        sock: socket.socket,
        connections: Connections,
        lingering: LingeringSockets,
        extension: Deflate | None = None,
    ) -> None:
        self._sock = sock
        self._connections = connections
        self._lingering = lingering
        self._compressor = None if extension is None else extension.compressor
        self._reader = FrameReader(MAX_MESSAGE_BYTES, extension)
        self._session: Session | None = None
        self._rest: bytes | None = None
        """Bytes that the socket has not taken yet. None if the socket has taken all bytes."""
        self._closing = False  # True if a close frame was sent
        self._ended = False

    def start(self, admitted: Admitted) -> None:
        """Opens the session of a connection whose upgrade was accepted, and watches the socket."""
        context = self._connections.context
        self._lingering.poller.add(self._sock.fileno(), self)
        delivery = Delivery(batch=admitted.options.batch, compressor=self._compressor)
        outbox = Outbox(self, context.clock.now, delivery, context.limits.send_buffer)
        self._session = self._connections.open(
            outbox, admitted.options, admitted.account_session, admitted.unverified_key, admitted.address
        )

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

    def send_ping(self) -> None:
        self._push(ping_frame())

    def close(self, code: int) -> None:
        self._send_close(int(code).to_bytes(2, "big"))

    def abort(self) -> None:
        self._end(reset=True)

    def release(self) -> None:
        """Does nothing, because the connection releases its session in `_end_session`."""

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
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data or self._session is None:  # no session: its opening has failed
            self._end()
            return
        now = self._connections.context.clock.now()
        for event in self._reader.read(data):
            session = self._session
            if session is None:  # an earlier frame has ended the connection
                return
            self._receive(session, event, now)

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

    def _receive(self, session: Session, event: Event, now: float) -> None:
        """Passes one event of the frame reader on to the session.

        Ends the session if the client sends frames too fast.
        """
        if not session.count_frame(now):
            self._depart()
        elif isinstance(event, TextMessage):
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
            self._send_close(event.code)
        elif isinstance(event, Failure):
            self.close(event.code)
        elif event.size > MAX_FRAME_BYTES:
            self.close(FailureCode.TOO_LARGE)
        else:
            session.close(CloseCode.TOO_LARGE, now)
        self._depart()

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
