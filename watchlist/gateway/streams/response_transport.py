"""Sends events as the body of an ASGI response, under plain `daphne` and other servers."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.asgi import Receive, Send
from watchlist.gateway.sockets.daphne_transport import do_nothing, find_response
from watchlist.gateway.sockets.send_transport import SendTask

END_SECONDS = 1.0
"""How long the end of a response may take before the connection is dropped."""


class BufferGate:
    """Waits while the buffer of Twisted's connection is full.

    `response` is Twisted's response object. `response` is None under servers other than Daphne: these servers wait in
    `send`, so `wait` returns at once. Twisted calls `pauseProducing` when more than 64 KiB wait in the buffer, and
    `resumeProducing` when the buffer is empty.
    """

    def __init__(self, response: Any) -> None:
        self._response = response
        self._has_room = asyncio.Event()
        self._has_room.set()
        if self._is_connected:
            response.registerProducer(self, True)

    @property
    def _is_connected(self) -> bool:
        """Whether the connection is open. Twisted removes the channel of a response whose connection has ended."""
        return getattr(self._response, "channel", None) is not None

    async def wait(self) -> None:
        """Returns when the buffer has room."""
        await self._has_room.wait()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._has_room.clear()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._has_room.set()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Does nothing. After a lost connection, a disconnect event ends the stream."""

    def close(self, *, drop: bool = False) -> None:
        """Unregisters this gate from Twisted. If `drop` is True, also drops the connection with all unsent bytes."""
        self._has_room.set()
        if self._is_connected:
            self._response.unregisterProducer()
            if drop:
                self._response.transport.abortConnection()


class ResponseTransport:
    """Sends each block of events with one call of ASGI's `send`, in a task.

    While the task runs, `write` takes no bytes, as if the socket were full. `outbox` must be set before the first
    write.
    """

    direct = False

    def __init__(self, send: Send) -> None:
        self._send = send
        self._gate = BufferGate(find_response(send))
        self._sending = SendTask(self._resume)
        self._end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Is done when the gateway ends the response. The result says whether the connection is dropped."""
        self.outbox: Outbox | None = None

    async def run(self, receive: Receive) -> None:
        """Returns when the client has left or the response has ended."""
        left = asyncio.ensure_future(wait_for_disconnect(receive))
        drop = False
        try:
            waited: set[asyncio.Future[Any]] = {left, self._end}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self._end.done():
                drop = self._end.result() or not await self._finish_response()
        finally:
            left.cancel()
            if self._sending.task is not None:
                self._sending.task.cancel()
            self._gate.close(drop=drop)

    # --- the transport of the outbox --------------------------------------------------------------------------------

    def write(self, block: bytes) -> int:
        if self._sending.task is not None or self._end.done():
            return 0
        self._sending.start(partial(self._send_block, block))
        return len(block)

    def finish(self, _rest: bytes) -> None:
        self._sending.stall()

    def send_ping(self) -> None:
        """Does nothing: streams have comments instead of pings."""

    def close(self, code: int) -> None:
        """Ends the response. The connection of a client that does not read is dropped."""
        if not self._end.done():
            self._end.set_result(code == CloseCode.SLOW)

    def abort(self) -> None:
        self.close(CloseCode.SLOW)

    def release(self) -> None:
        """Breaks the reference cycles with the outbox and the task, so that all three are freed immediately."""
        self.outbox = None
        self._sending.on_writable = do_nothing

    async def _send_block(self, block: bytes) -> None:
        await self._send({"type": "http.response.body", "body": block, "more_body": True})
        await self._gate.wait()

    def _resume(self) -> None:
        if self.outbox is not None:
            self.outbox.resume()

    async def _finish_response(self) -> bool:
        """Sends the end of the response. Returns False if the client does not read, so that the end cannot be sent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                if self._sending.task is not None:
                    await self._sending.task
                self._gate.close()  # Twisted reports an error if a response ends with a producer.
                await self._send({"type": "http.response.body", "body": b""})
                return True
        return False


async def wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
