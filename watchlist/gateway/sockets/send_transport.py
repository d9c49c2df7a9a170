"""Writes frames with ASGI's `send`, for servers other than Daphne. These servers send pings themselves."""

import asyncio
from collections.abc import Callable

import structlog

from watchlist.gateway.framing import frame_payload, split_frames
from watchlist.gateway.sockets.asgi import Send
from watchlist.gateway.sockets.daphne_transport import MAX_WRITE_BYTES, do_nothing

log = structlog.get_logger(__name__)


class SendTransport:
    """Starts a task for each call of `write`. The task calls ASGI's `send` once for each frame.

    While the task runs, `write` accepts no more frames.
    """

    __slots__ = ("_on_writable", "_send", "_stalled", "_task")

    direct = False

    def __init__(self, send: Send, on_writable: Callable[[], None]) -> None:
        self._send = send
        self._on_writable = on_writable
        self._stalled = False
        self._task: asyncio.Task[None] | None = None

    def write(self, block: bytes) -> int:
        if self._task is not None:
            return 0
        frames: list[bytes] = []
        size = 0
        for frame in split_frames(block):
            if frames and size + len(frame) > MAX_WRITE_BYTES:
                break
            frames.append(frame)
            size += len(frame)
        self._task = asyncio.ensure_future(self._send_all(frames))
        return size

    def finish(self, _rest: bytes) -> None:
        self._stalled = True

    def release(self) -> None:
        """Breaks the reference cycle with the outbox, so that transport and outbox are freed immediately."""
        self._on_writable = do_nothing

    def send_ping(self) -> None:
        """Does nothing: ASGI has no pings."""

    def close(self, code: int) -> None:
        previous, self._task = self._task, None
        self._task = asyncio.ensure_future(self._close_after(previous, code))

    def abort(self) -> None:
        """Does nothing: ASGI cannot drop a connection."""

    async def _send_all(self, frames: list[bytes]) -> None:
        try:
            for frame in frames:
                await self._send({"type": "websocket.send", "text": frame_payload(frame).decode()})
        except Exception:  # Servers raise different errors for a closed socket; the disconnect event follows.
            log.debug("send failed")
            return
        self._task = None
        if self._stalled:
            self._stalled = False
            self._on_writable()

    async def _close_after(self, previous: "asyncio.Task[None] | None", code: int) -> None:
        if previous is not None:
            await asyncio.wait([previous], timeout=1)
        try:
            await self._send({"type": "websocket.close", "code": int(code)})
        except Exception:  # As in `_send_all`.
            log.debug("close failed")
