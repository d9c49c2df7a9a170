"""Connects a gateway process to the relay, which subscribes to Redis for all gateway processes.

A closed connection stays closed. Open a new one to connect again.
"""

import asyncio
from collections.abc import Collection
from typing import Protocol

import structlog

from watchlist.gateway.fanout.price_layer import Receiver
from watchlist.gateway.relay.framing import (
    PREAMBLE,
    BadFrame,
    FrameReader,
    Kind,
    decode_names,
    decode_updates,
    encode_names,
)

log = structlog.get_logger(__name__)

GREETING_SECONDS = 2.0
"""How long the relay may take to send PREAMBLE, the first bytes of a connection."""
CHECK_SECONDS = 1.0
"""The time between two checks whether the relay has sent something."""
SILENT_CHECKS = 4
"""The connection is dropped after this many checks in a row that find no new byte from the relay."""
# Redis may take 5 s to confirm a subscription, and the relay handles one request after another.
JOIN_SECONDS = 12.0
"""How long the relay may take to answer a JOIN frame."""


class RelayEvents(Protocol):
    """Receives the events of a RelayConnection."""

    def on_redis_changed(self, connection: "RelayConnection") -> None:
        """Called when `connection.redis_lost` has changed."""


class RelayConnection(asyncio.Protocol):
    """A connection of this process to the relay.

    The process joins the groups (Redis channels) whose messages it needs. `receive` is called with the channel and the
    data of each message.
    """

    def __init__(self, receive: Receiver, events: RelayEvents) -> None:
        self.joined: set[str] = set()
        """The groups that Redis has confirmed."""
        self.redis_lost = False
        """Whether the relay has lost its connection to Redis."""
        self.closed = asyncio.Event()
        self.reason = ""
        """Why the connection is closed. Empty while it is open."""
        self._receive = receive
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._greeted = asyncio.Event()
        self._reader = FrameReader()
        self._channels: set[bytes] = set()
        """The requested groups as bytes, including groups that Redis has not confirmed yet."""
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._unsent: list[str] = []
        self._silent_checks = 0
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, path: str, receive: Receiver, events: RelayEvents) -> "RelayConnection":
        """Connects to the relay at the Unix socket `path`. Returns when the relay has answered. Raises OSError."""
        connection = cls(receive, events)
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                await asyncio.get_running_loop().create_unix_connection(lambda: connection, path)
                await connection._greeted.wait()
        except TimeoutError:
            connection.drop("the relay does not answer")
        except BaseException:
            connection.drop("no longer needed")
            raise
        if connection.reason:
            raise ConnectionError(connection.reason)
        return connection

    async def join(self, names: Collection[str]) -> None:
        """Joins groups, and waits until Redis has confirmed all of them. Raises OSError."""
        if self.reason:
            raise ConnectionError(self.reason)
        answers = [self._request(name) for name in names if name not in self.joined]
        if not answers:
            return
        _, late = await asyncio.wait(answers, timeout=JOIN_SECONDS)
        if late:
            self.drop("the relay did not answer a JOIN")
        for answer in answers:
            answer.result()

    def leave(self, name: str) -> None:
        """Leaves a group. `receive` gets no more messages of the group."""
        self._channels.discard(name.encode())
        self.joined.discard(name)
        if not self.reason:
            self._send_unsent()
            self._send(encode_names(Kind.LEAVE, [name]))

    def drop(self, reason: str) -> None:
        """Closes the connection. Each waiting call of `join` raises ConnectionError with `reason`."""
        if self.reason:
            return
        self.reason = reason
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            fail(answer, reason)
        self._greeted.set()
        self.closed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a socket has no other
        self._transport = transport
        if self.reason:  # dropped while it was being opened
            transport.abort()
            return
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check_silence)

    def data_received(self, data: bytes) -> None:
        self._silent_checks = 0
        try:
            for kind, content in self._reader.feed(data):
                self._handle(kind, content)
        except BadFrame as error:
            self.drop(str(error))
        if self._reader.greeted and not self._greeted.is_set():
            self._send(PREAMBLE)  # A relay of another version gets nothing, and so has nothing to log.
            self._greeted.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self.drop("the relay has closed the connection")

    def _handle(self, kind: int, content: bytes) -> None:
        if kind == Kind.UPDATES:
            self._pass_on(content)
        elif kind == Kind.JOINED:
            for name in decode_names(content):
                self._confirm(name)
        elif kind == Kind.REFUSED:
            for name in decode_names(content):
                self._refuse(name)
        elif kind in (Kind.LOST, Kind.BACK):
            self.redis_lost = kind == Kind.LOST
            self._events.on_redis_changed(self)
        elif kind != Kind.BEAT:
            raise BadFrame(f"the relay has sent a frame of the kind {kind}")

    def _pass_on(self, content: bytes) -> None:
        channels, receive = self._channels, self._receive
        for channel, data in decode_updates(content):
            if channel in channels:  # messages may be on their way when a group is left
                try:
                    receive(channel, data)
                except Exception:  # an error of one message must not stop the others
                    log.exception("a message was not processed")

    def _request(self, name: str) -> "asyncio.Future[None]":
        answer = self._waiting.get(name)
        if answer is None:
            answer = self._waiting[name] = self._loop.create_future()
            self._channels.add(name.encode())
            if not self._unsent:
                self._loop.call_soon(self._send_unsent)  # many groups are joined at the same moment
            self._unsent.append(name)
        return answer

    def _send_unsent(self) -> None:
        names, self._unsent = self._unsent, []
        if names and not self.reason:
            self._send(encode_names(Kind.JOIN, names))

    def _send(self, frames: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frames)

    def _confirm(self, name: str) -> None:
        if answer := self._waiting.pop(name, None):
            self.joined.add(name)
            answer.set_result(None)

    def _refuse(self, name: str) -> None:
        self._channels.discard(name.encode())
        if answer := self._waiting.pop(name, None):
            fail(answer, "Redis has not confirmed a subscription of the relay")

    def _check_silence(self) -> None:
        # If this process was blocked, the late check counts once. The bytes that wait are read before the next check.
        self._silent_checks += 1
        if self._silent_checks >= SILENT_CHECKS:
            self.drop("the relay is silent")
        else:
            self._timer = self._loop.call_later(CHECK_SECONDS, self._check_silence)


def fail(answer: "asyncio.Future[None]", reason: str) -> None:
    answer.set_exception(ConnectionError(reason))
    answer.exception()  # Marks the error as seen: a cancelled caller awaits no answer.
