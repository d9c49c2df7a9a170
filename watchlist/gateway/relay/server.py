"""Runs the relay: one subscription to Redis for all gateway processes of a machine.

Each process asks for channels, and the relay passes on only the messages of these channels. If a process reads too
slowly, the relay closes the connection to this process.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from weakref import WeakValueDictionary

import structlog
from redis.exceptions import RedisError

from watchlist.gateway.fanout.ending import end_tasks
from watchlist.gateway.fanout.price_layer import PriceLayer
from watchlist.gateway.relay.framing import (
    PREAMBLE,
    BadFrame,
    FrameReader,
    Kind,
    decode_names,
    encode_frame,
    encode_message,
    encode_names,
    encode_updates,
)

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.001
"""The shortest time between two flushes. Messages that arrive in between are written together."""
BEAT_SECONDS = 1.0
BACKLOG = 1024
MAX_UNREAD_BYTES = 32 * 1024 * 1024
"""The connection to a process with more unread bytes is closed. Redis has the same limit for a subscriber."""


class Relay:
    """Passes messages of `layer` on to the gateway processes of this machine.

    A process joins the groups (Redis channels) whose messages it needs. The relay closes the connection to a process
    with more than `max_unread_bytes` unread bytes.
    """

    def __init__(self, layer: PriceLayer, max_unread_bytes: int = MAX_UNREAD_BYTES) -> None:
        self.redis_lost = False
        self.max_unread_bytes = max_unread_bytes
        self._layer = layer
        self._channel = ""
        self._processes: set[ProcessConnection] = set()
        self._audiences: dict[bytes, Audience] = {}
        """The processes that need each channel. Channels that the same processes need share one Audience."""
        self._by_processes: WeakValueDictionary[frozenset[ProcessConnection], Audience] = WeakValueDictionary()
        self._joined: set[str] = set()
        self._requests: list[tuple[ProcessConnection, list[str]]] = []
        self._changed = asyncio.Event()
        self._unflushed: list[Audience] = []
        self._next_flush = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_idle(self) -> bool:
        """Whether no process is connected."""
        return not self._processes

    async def start(self, listener: socket.socket) -> None:
        """Accepts connections of gateway processes. `listener` is a bound Unix socket."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.ensure_future(self._serve_requests()), asyncio.ensure_future(self._beat())]
        # Since Python 3.13, the server of `create_unix_server` deletes the file of the socket when it closes. The next
        # relay needs the file.
        self._server = await self._loop.create_server(lambda: ProcessConnection(self), sock=listener, backlog=BACKLOG)

    async def close(self) -> None:
        self._server.close()
        await end_tasks(self._tasks)
        for process in list(self._processes):
            process.drop()
        await self._layer.flush()

    def add(self, process: "ProcessConnection") -> None:
        self._processes.add(process)

    def remove(self, process: "ProcessConnection") -> None:
        self._processes.discard(process)
        self.leave(process, list(process.names))

    def join(self, process: "ProcessConnection", names: list[str]) -> None:
        """Starts to pass messages of these groups on to the process.

        Later, JOINED or REFUSED frames tell the process which groups Redis has confirmed.
        """
        self._send_waiting()  # so that an earlier message of a channel does not arrive after a later message
        for name in names:
            if name not in process.names:
                process.names.add(name)
                self._change_audience(name.encode(), lambda processes: processes | {process})
        self._requests.append((process, names))
        self._changed.set()

    def leave(self, process: "ProcessConnection", names: Iterable[str]) -> None:
        self._send_waiting()
        for name in names:
            if name in process.names:
                process.names.discard(name)
                self._change_audience(name.encode(), lambda processes: processes - {process})
        self._changed.set()

    def _change_audience(self, channel: bytes, change: "Callable[[Processes], Processes]") -> None:
        audience = self._audiences.pop(channel, None)
        processes = change(audience.processes if audience is not None else frozenset())
        if processes:
            audience = self._by_processes.get(processes) or Audience(processes)
            self._audiences[channel] = self._by_processes[processes] = audience

    def _receive(self, channel: bytes, data: bytes) -> None:
        audience = self._audiences.get(channel)
        if audience is None:
            return
        if not audience.messages:
            if not self._unflushed:
                self._loop.call_at(max(self._next_flush, self._loop.time()), self._flush)
            self._unflushed.append(audience)
        audience.messages.append(encode_message(channel, data))

    def _flush(self) -> None:
        self._next_flush = self._loop.time() + FLUSH_SECONDS
        self._send_waiting()

    def _send_waiting(self) -> None:
        audiences, self._unflushed = self._unflushed, []
        for audience in audiences:
            audience.flush()

    async def _serve_requests(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            requests, self._requests = self._requests, []
            try:
                await self._leave_unused()
                await self._join({name for _, names in requests for name in names} - self._joined)
            except (RedisError, OSError) as error:
                log.warning("relay not subscribed", reason=type(error).__name__)
            except Exception:
                log.exception("relay failed")
            for process, names in requests:
                process.answer(names, self._joined)

    async def _leave_unused(self) -> None:
        for name in [name for name in self._joined if name.encode() not in self._audiences]:
            self._joined.discard(name)
            await self._layer.group_discard(name, self._channel)

    async def _join(self, names: set[str]) -> None:
        """Joins groups in Redis. Raises the first error after all groups were tried."""
        if names and not self._channel:
            self._layer.set_receiver(self._receive, self._note_lost, self._note_back)
            self._channel = await self._layer.new_channel()
        results = await asyncio.gather(
            *(self._layer.group_add(name, self._channel) for name in names), return_exceptions=True
        )
        self._joined.update(name for name, result in zip(names, results, strict=True) if result is None)
        for result in results:
            if result is not None:
                raise result

    def _note_lost(self) -> None:
        self.redis_lost = True
        self._send_all(encode_frame(Kind.LOST))

    def _note_back(self) -> None:
        self.redis_lost = False
        self._send_all(encode_frame(Kind.BACK))

    async def _beat(self) -> None:
        while True:
            self._send_all(encode_frame(Kind.BEAT))
            await asyncio.sleep(BEAT_SECONDS)

    def _send_all(self, frame: bytes) -> None:
        for process in list(self._processes):
            process.send(frame)


class Audience:
    """The processes that need the same channels. Each frame is encoded once for all these processes."""

    def __init__(self, processes: "Processes") -> None:
        self.processes = processes
        self.messages: list[bytes] = []
        """The encoded messages since the last flush."""

    def flush(self) -> None:
        messages, self.messages = self.messages, []
        for frame in encode_updates(messages):
            for process in self.processes:
                process.send(frame)


class ProcessConnection(asyncio.Protocol):
    """The relay's connection to one gateway process."""

    def __init__(self, relay: Relay) -> None:
        self.names: set[str] = set()
        """The groups whose messages the process gets."""
        self._relay = relay
        self._reader = FrameReader()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a socket has no other
        self._transport = transport
        transport.write(PREAMBLE)
        if self._relay.redis_lost:
            transport.write(encode_frame(Kind.LOST))
        self._relay.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            for kind, content in self._reader.feed(data):
                self._handle(kind, decode_names(content))
        except BadFrame as error:
            log.warning("relay has refused a process", reason=str(error))
            self.drop()

    def connection_lost(self, _error: Exception | None) -> None:
        self._relay.remove(self)

    def answer(self, names: list[str], joined: set[str]) -> None:
        """Sends JOINED for the `names` that are in `joined`, and REFUSED for the other `names`.

        The process gets no messages of refused groups.
        """
        refused = [name for name in names if name not in joined]
        self._relay.leave(self, refused)
        confirmed = [name for name in names if name in joined]
        self.send(encode_names(Kind.JOINED, confirmed) + encode_names(Kind.REFUSED, refused))

    def send(self, frames: bytes) -> None:
        """Writes frames. Drops the process if more than `max_unread_bytes` bytes are unread."""
        if self._transport.is_closing():
            return
        self._transport.write(frames)
        unread = self._transport.get_write_buffer_size()
        if unread > self._relay.max_unread_bytes:
            log.warning("relay has dropped a process that does not read", unread_bytes=unread)
            self.drop()

    def drop(self) -> None:
        self._transport.abort()
        self._relay.remove(self)

    def _handle(self, kind: int, names: list[str]) -> None:
        if kind == Kind.JOIN:
            self._relay.join(self, names)
        elif kind == Kind.LEAVE:
            self._relay.leave(self, names)
        else:
            raise BadFrame(f"a process has sent a frame of the kind {kind}")


Processes = frozenset[ProcessConnection]
