"""Writes frames with ASGI's `send`, for servers other than Daphne. These servers send pings themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from watchlist.gateway.framing import frame_payload, split_frames
from watchlist.gateway.sockets.asgi import Send
from watchlist.gateway.sockets.daphne_transport import MAX_WRITE_BYTES, do_nothing

log = structlog.get_logger(__name__)


class SendTask:
    """Calls ASGI's `send` in a task, so that the caller does not wait. At most one task runs.

    After a call of `stall`, the task calls `on_writable` when everything is sent.
    """

    __slots__ = ("_stalled", "on_writable", "task")

    def __init__(self, on_writable: Callable[[], None] = do_nothing) -> None:
        self.on_writable = on_writable
        self.task: asyncio.Task[None] | None = None
        self._stalled = False

    def start(self, send_all: Callable[[], Awaitable[None]]) -> None:
        self.task = asyncio.ensure_future(self._run(send_all))

    def stall(self) -> None:
        self._stalled = True

    async def _run(self, send_all: Callable[[], Awaitable[None]]) -> None:
        try:
            await send_all()
        except Exception:  # Servers raise different errors for a closed connection; the disconnect event follows.
            log.debug("send failed")
            return
        self.task = None
        if self._stalled:
            self._stalled = False
            self.on_writable()


class SendTransport:
    """Sends frames in a task, which `write` starts. The task calls ASGI's `send` once for each frame.

    While the task runs, `write` takes no bytes and returns 0.
    """

    __slots__ = ("_send", "_sending")

    direct = False

    def __init__(self, send: Send, on_writable: Callable[[], None]) -> None:
        self._send = send
        self._sending = SendTask(on_writable)

    def write(self, block: bytes) -> int:
        if self._sending.task is not None:
            return 0
        frames: list[bytes] = []
        size = 0
        for frame in split_frames(block):
            if frames and size + len(frame) > MAX_WRITE_BYTES:
                break
            frames.append(frame)
            size += len(frame)
        self._sending.start(partial(self._send_all, frames))
        return size

    def finish(self, _rest: bytes) -> None:
        self._sending.stall()

    def release(self) -> None:
        """Breaks the reference cycle with the outbox, so that transport and outbox are freed immediately."""
        self._sending.on_writable = do_nothing

    def send_ping(self) -> None:
        """Does nothing: ASGI has no pings."""

    def close(self, code: int) -> None:
        self._sending.task = asyncio.ensure_future(self._close_after(self._sending.task, code))

    def abort(self) -> None:
        """Does nothing: ASGI cannot drop a connection."""

    async def _send_all(self, frames: list[bytes]) -> None:
        for frame in frames:
            await self._send({"type": "websocket.send", "text": frame_payload(frame).decode()})

    async def _close_after(self, previous: "asyncio.Task[None] | None", code: int) -> None:
        if previous is not None:
            await asyncio.wait([previous], timeout=1)
        try:
            await self._send({"type": "websocket.close", "code": int(code)})
        except Exception:  # As in `SendTask`.
            log.debug("close failed")
