"""Writes frames straight to Daphne's connection, without ASGI's `send`.

The module uses private names of Daphne, autobahn and Twisted. `AttachTransport` must be the outermost ASGI application,
because Channels' middleware replaces `send`.
"""

import socket
from collections.abc import Callable
from typing import Any

import structlog

from watchlist.gateway.framing import ping_frame
from watchlist.gateway.sockets.asgi import Application, Receive, Scope, Send
from watchlist.gateway.sockets.server_tuning import tune_server

log = structlog.get_logger(__name__)

EXTENSION = "stockwatch.transport"
NOTSENT_LOWAT_BYTES = 16 * 1024
"""At this many unsent bytes, the kernel reports a socket as full. A slow reader is therefore noticed early."""
# The TLS layer and ASGI's `send` keep unsent bytes in memory.
MAX_WRITE_BYTES = 64 * 1024
"""The most bytes of one write through a TLS layer or ASGI's `send`."""

# Direct writes need these private names of Daphne's server, Daphne's protocol object and Twisted's connection.
SERVER_NAMES = ("ping_interval", "websocket_timeout")
PROTOCOL_NAMES = (
    *("transport", "sendClose", "failHandshake", "dropConnection", "handshake_deferred"),
    *("onPing", "onPong", "onFrameBegin", "dataReceived", "data"),
)
CONNECTION_NAMES = ("dataBuffer", "_tempDataLen", "socket", "startWriting", "registerProducer", "unregisterProducer")


class AttachTransport:
    """Wraps an ASGI application, and gives it Daphne's protocol object for each WebSocket.

    The object is in `scope["extensions"][EXTENSION]`. This entry is None if direct writes are impossible.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._missing: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Any client may send the header Daphne-Root-Path. This application is never mounted below a path.
        scope["root_path"] = ""
        if scope["type"] == "websocket":
            scope.setdefault("extensions", {})[EXTENSION] = self._find_protocol(send)
        await self._application(scope, receive, send)

    def _find_protocol(self, send: Any) -> Any:
        """Returns Daphne's protocol object behind `send`, or None if direct writes are impossible.

        The first call decides for all connections whether direct writes are possible.
        """
        if self._missing is None:
            tune_server()  # here, because the program `daphne` calls nothing at its start
            self._missing = find_missing_name(send)
            if self._missing:
                log.warning("no direct writes", missing=self._missing, effect="every frame passes through ASGI's send")
        return None if self._missing else send.args[0]


def find_missing_name(send: Any) -> str:
    """Looks for the private names of Daphne and Twisted that direct writes need.

    Returns a missing name, or "" if all names exist. Returns "Daphne" if `send` belongs to another server.
    """
    protocol = next(iter(getattr(send, "args", ())), None)  # `send` is a partial of Server.handle_reply.
    transport = getattr(protocol, "transport", None)
    if transport is None:
        return "Daphne"
    parts = (
        (getattr(protocol, "server", None), SERVER_NAMES),
        (protocol, PROTOCOL_NAMES),
        (find_connection(transport), CONNECTION_NAMES),
    )
    return next((name for part, names in parts for name in names if not hasattr(part, name)), "")


def find_connection(transport: Any) -> Any:
    """Returns Twisted's TCP connection: `transport` itself, or the connection below a TLS layer."""
    # Checks the class and not the object, because a TLS layer forwards unknown names to the connection.
    return transport if hasattr(type(transport), "dataBuffer") else getattr(transport, "transport", None)


def find_response(send: Any) -> Any:
    """Returns Twisted's response object behind ASGI's `send` of an HTTP request. Returns None under other servers."""
    response = next(iter(getattr(send, "args", ())), None)  # `send` is a partial of Server.handle_reply.
    return response if hasattr(response, "registerProducer") else None


def do_nothing() -> None:
    """Does nothing. A transport whose connection has ended has this function as its callback."""


class DaphneTransport:
    """Writes frames straight to the TCP connection. With TLS, writes frames to the TLS layer.

    `write` takes no bytes while Twisted still holds unsent bytes.
    """

    __slots__ = ("_connection", "_on_writable", "_plain", "_protocol", "_transport", "_waiting")

    direct = True

    def __init__(self, protocol: Any, on_writable: Callable[[], None]) -> None:
        """`on_writable` is called when the socket accepts output again after a call of `finish`."""
        self._protocol = protocol
        self._transport = protocol.transport
        self._connection = find_connection(protocol.transport)
        self._plain = self._connection is self._transport
        self._on_writable = on_writable
        self._waiting = False
        self._disable_daphne_timers()
        self._unregister_http_channel()
        if hasattr(socket, "TCP_NOTSENT_LOWAT") and self._connection.socket.family != socket.AF_UNIX:
            self._connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)

    def _disable_daphne_timers(self) -> None:
        """Turns off Daphne's pings, and Daphne's limit of one day per socket."""
        # The gateway has pings and time-outs of its own.
        self._protocol.server.ping_interval = float("inf")
        self._protocol.server.websocket_timeout = -1

    def _unregister_http_channel(self) -> None:
        """Detaches Twisted's HTTP channel from the connection. The channel received the upgrade request.

        Afterwards, this transport can be the producer. Twisted calls the producer when the connection accepts output.
        """
        channel = getattr(self._connection, "producer", None)
        channel = getattr(channel, "_producer", channel)  # a TLS layer wraps the channel
        getattr(channel, "requests", []).clear()  # the channel and its request refer to each other
        self._transport.unregisterProducer()

    def listen(
        self, on_frame: Callable[[], bool], on_ping: Callable[[bytes], None], on_pong: Callable[[], None]
    ) -> None:
        """Sets the functions to call at each frame, ping and pong.

        Reading ends when `on_frame` returns False.
        """
        protocol = self._protocol
        begin = protocol.onFrameBegin

        def begin_frame() -> None:
            begin()
            if not on_frame():
                # Otherwise autobahn processes its whole buffer. 64 KiB of small frames take a quarter of a second.
                protocol.dataReceived = lambda _data: None
                protocol.data = b""

        protocol.onFrameBegin, protocol.onPing = begin_frame, on_ping
        protocol.onPong = lambda _payload: on_pong()

    def write(self, block: bytes) -> int:
        connection, transport = self._connection, self._transport
        if connection.dataBuffer or connection._tempDataLen or transport.disconnecting or not transport.connected:
            return 0
        if not self._plain:
            transport.write(block[:MAX_WRITE_BYTES])
            return min(len(block), MAX_WRITE_BYTES)
        try:
            sent: int = connection.socket.send(block)
        except OSError:
            # The socket is full or broken. Twisted notices a broken socket by itself.
            return 0
        return sent

    def finish(self, rest: bytes) -> None:
        transport = self._transport
        # Twisted keeps a closing connection open as long as a producer is registered.
        if not transport.connected or transport.disconnecting:
            return
        if rest:
            transport.write(rest)
        self._waiting = True
        self._connection.registerProducer(self, False)
        self._connection.startWriting()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Calls `on_writable` when Twisted's buffer is empty and the socket accepts output.

        The first call after `finish` comes too early, and has no effect.
        """
        if self._waiting:
            self._waiting = False
            return
        self._connection.unregisterProducer()
        self._on_writable()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Does nothing. After a lost connection, a disconnect event ends the session."""

    def release(self) -> None:
        """Breaks reference cycles, which would keep the connection in memory until the next garbage collection."""
        protocol = self._protocol
        for name in ("onFrameBegin", "onPing", "onPong"):
            vars(protocol).pop(name, None)
        if getattr(getattr(protocol, "is_closed", None), "called", False):
            protocol.is_closed.result = None  # the result was the protocol itself
        self._on_writable = do_nothing

    def send_ping(self) -> None:
        self._transport.write(ping_frame())

    def close(self, code: int) -> None:
        self._protocol.sendClose(code=int(code))  # autobahn refuses an IntEnum

    def abort(self) -> None:
        self._protocol.dropConnection(abort=True)
