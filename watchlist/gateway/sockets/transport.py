"""How bytes reach a socket: straight to Daphne's transport where there is one, by ASGI's `send` under any other server.

The only module that knows private names of Daphne, autobahn and Twisted. `AttachTransport` is the outermost ASGI
application: Channels' middleware replaces `send`, so what stands behind it is looked up once, before them, and travels
in `scope["extensions"]`.
"""

import asyncio
import gc
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog

from watchlist.gateway import protocol

log = structlog.get_logger(__name__)

EXTENSION = "stockwatch.transport"
GARBAGE = 20_000
"""New containers between two runs of the collector (Python: 700, or 2,000); a socket makes some thirty."""
NOTSENT_LOWAT = 16 * 1024
"""Bytes the kernel keeps unsent for a socket before it counts as full: a slow reader is noticed early."""
LARGEST_WRITE = 64 * 1024
"""Bytes that a cipher or another server is handed at once: what the socket does not take of them waits in memory."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


# What is used of Daphne's server, of its protocol object, and of the connection that Twisted writes to.
SERVER_NAMES = ("ping_interval", "websocket_timeout")
PROTOCOL_NAMES = (
    *("transport", "sendClose", "failHandshake", "dropConnection", "handshake_deferred"),
    *("onPing", "onPong", "onFrameBegin", "dataReceived", "data"),
)
WIRE_NAMES = ("dataBuffer", "_tempDataLen", "socket", "startWriting", "registerProducer", "unregisterProducer")


class AttachTransport:
    """Puts the server's protocol object of a WebSocket, where it is Daphne's, into the scope's extensions."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._missing: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Any client may send Daphne-Root-Path; no path of ours is mounted below another.
        scope["root_path"] = ""
        if scope["type"] == "websocket":
            scope.setdefault("extensions", {})[EXTENSION] = self._find(send)
        await self._application(scope, receive, send)

    def _find(self, send: Any) -> Any:
        """Daphne's protocol object behind `send`, or None; the first connection decides, for all are alike."""
        if self._missing is None:
            self._missing = missing_name(send)
            if self._missing:
                log.warning("no direct writes: every frame goes through ASGI's send", missing=self._missing)
        return None if self._missing else send.args[0]


def missing_name(send: Any) -> str:
    """What this server lacks of all that direct writes need; empty for the Daphne, autobahn and Twisted we know."""
    found = next(iter(getattr(send, "args", ())), None)  # a partial of Server.handle_reply
    transport = getattr(found, "transport", None)
    if transport is None:
        return "Daphne"
    parts = ((getattr(found, "server", None), SERVER_NAMES), (found, PROTOCOL_NAMES), (wire_of(transport), WIRE_NAMES))
    return next((name for part, names in parts for name in names if not hasattr(part, name)), "")


def wire_of(transport: Any) -> Any:
    """The connection that Twisted writes to: the transport itself, or what is below its cipher."""
    # A cipher hands on every name it does not know, so its class is asked.
    return transport if hasattr(type(transport), "dataBuffer") else getattr(transport, "transport", None)


def spare_accepts() -> None:
    """autobahn lays out its connection's parameters for a debug line at every accept: 29% of the work of accepting."""
    module = sys.modules.get("autobahn.websocket.protocol")
    if module is not None and hasattr(module, "pformat"):
        module.pformat = lambda _: ""  # type: ignore[attr-defined]
    # What is loaded by now stays for good: the collector need not look at it with every few hundred sockets.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def do_nothing() -> None:
    """What a transport calls whose connection is gone."""


class DaphneTransport:
    """Writes to the socket itself while Twisted's buffer is empty, and never lets more than a frame into it.

    Over TLS bytes must pass the cipher, and what the socket does not take of a block stays in Twisted's buffer.
    """

    __slots__ = ("_on_drain", "_plain", "_protocol", "_transport", "_waiting", "_wire")

    fast = True

    def __init__(self, found: Any, on_drain: Callable[[], None]) -> None:
        self._protocol = found
        self._transport = found.transport
        self._wire = wire_of(found.transport)
        self._plain = self._wire is self._transport
        self._on_drain = on_drain
        self._waiting = False
        # Daphne's own ping (20 s, then 30 s to answer) and its daily close would undercut ours.
        found.server.ping_interval = float("inf")
        found.server.websocket_timeout = -1
        # The HTTP channel that the upgrade left behind stays registered, and would be told in our stead. It and its
        # request hold each other.
        channel = getattr(self._wire, "producer", None)
        channel = getattr(channel, "_producer", channel)  # what a cipher has put around it
        getattr(channel, "requests", []).clear()
        self._transport.unregisterProducer()
        if hasattr(socket, "TCP_NOTSENT_LOWAT") and self._wire.socket.family != socket.AF_UNIX:
            self._wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)

    def listen(
        self, on_frame: Callable[[], bool], on_ping: Callable[[bytes], None], on_pong: Callable[[], None]
    ) -> None:
        """Has the others hear of control frames; nothing more is read once `on_frame`, asked at each frame, says so."""
        found = self._protocol
        begin = found.onFrameBegin

        def begin_frame() -> None:
            begin()
            if not on_frame():
                # autobahn would go through what has come: 64 KiB of small frames are a quarter of a second.
                found.dataReceived = lambda _data: None
                found.data = b""

        found.onFrameBegin, found.onPing = begin_frame, on_ping
        found.onPong = lambda _payload: on_pong()

    def write(self, block: bytes) -> int:
        wire, transport = self._wire, self._transport
        if wire.dataBuffer or wire._tempDataLen or transport.disconnecting or not transport.connected:
            return 0
        if not self._plain:
            transport.write(block[:LARGEST_WRITE])
            return min(len(block), LARGEST_WRITE)
        try:
            sent: int = wire.socket.send(block)
        except OSError:
            # Full, or broken: of the latter Twisted hears by itself.
            return 0
        return sent

    def finish(self, rest: bytes) -> None:
        transport = self._transport
        # A producer would keep a connection that is closing open: Twisted waits until it has no more.
        if not transport.connected or transport.disconnecting:
            return
        if rest:
            transport.write(rest)
        self._waiting = True
        self._wire.registerProducer(self, False)
        self._wire.startWriting()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Twisted calls this once while registering, and again when its buffer is empty and the socket takes more."""
        if self._waiting:
            self._waiting = False
            return
        self._wire.unregisterProducer()
        self._on_drain()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The connection is lost; the disconnect event says so."""

    def release(self) -> None:
        """The connection is gone: what points in a circle would keep it in memory until the collector comes by."""
        found = self._protocol
        for name in ("onFrameBegin", "onPing", "onPong"):
            vars(found).pop(name, None)
        if getattr(getattr(found, "is_closed", None), "called", False):
            found.is_closed.result = None  # the protocol itself
        self._on_drain = do_nothing

    def send_ping(self) -> None:
        self._transport.write(protocol.ping_frame())

    def close(self, code: int) -> None:
        self._protocol.sendClose(code=int(code))  # autobahn refuses an IntEnum

    def abort(self) -> None:
        self._protocol.dropConnection(abort=True)


class SendTransport:
    """Any ASGI server: one task a burst, one `send` a frame. Pings are the server's own business."""

    __slots__ = ("_on_drain", "_send", "_stalled", "_task")

    fast = False

    def __init__(self, send: Send, on_drain: Callable[[], None]) -> None:
        self._send = send
        self._on_drain = on_drain
        self._stalled = False
        self._task: asyncio.Task[None] | None = None

    def write(self, block: bytes) -> int:
        if self._task is not None:
            return 0
        frames: list[bytes] = []
        size = 0
        for frame in protocol.split_frames(block):
            if frames and size + len(frame) > LARGEST_WRITE:
                break
            frames.append(frame)
            size += len(frame)
        self._task = asyncio.ensure_future(self._send_all(frames))
        return size

    def finish(self, _rest: bytes) -> None:
        self._stalled = True

    def release(self) -> None:
        """As above."""
        self._on_drain = do_nothing

    def send_ping(self) -> None:
        """ASGI has no ping."""

    def close(self, code: int) -> None:
        before, self._task = self._task, None
        self._task = asyncio.ensure_future(self._close_after(before, code))

    def abort(self) -> None:
        """ASGI cannot drop a connection; the close frame is under way."""

    async def _send_all(self, frames: list[bytes]) -> None:
        try:
            for frame in frames:
                await self._send({"type": "websocket.send", "text": protocol.frame_payload(frame).decode()})
        except Exception:  # the server's own errors for a socket that is gone differ; its disconnect event follows
            log.debug("send failed")
            return
        self._task = None
        if self._stalled:
            self._stalled = False
            self._on_drain()

    async def _close_after(self, before: "asyncio.Task[None] | None", code: int) -> None:
        if before is not None:
            await asyncio.wait([before], timeout=1)
        try:
            await self._send({"type": "websocket.close", "code": int(code)})
        except Exception:  # as above
            log.debug("close failed")


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, code: int, retry_after: int = 0) -> None:
    """Ends a connection before it is accepted: an HTTP status, or a close code where the server knows only 403."""
    await receive()
    found = scope.get("extensions", {}).get(EXTENSION)
    headers = [("Retry-After", str(retry_after))] if retry_after else []
    if status == 403:
        await send({"type": "websocket.close"})
    elif found is not None:
        words = {400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 503: "Service Unavailable"}
        found.failHandshake(words[status], status, [*headers, ("Content-Length", "0")])
        await receive()
    elif "websocket.http.response" in scope.get("extensions", {}):
        raw = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "websocket.http.response.start", "status": status, "headers": raw})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": int(code)})
