"""Receives sharded pub/sub messages from one node of a Redis Cluster.

After a lost connection, the subscriber connects and subscribes again. The subscriber pings a silent connection. If no
reply comes, the subscriber drops the connection.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import groupby
from random import Random
from typing import Any, Protocol

import redis.asyncio
import structlog
from hiredis import Reader
from redis.exceptions import RedisError

from feeds.retry import Backoff, Jitter
from feeds.store.cluster.slots import Node, key_slot
from watchlist.gateway.fanout.ending import end_tasks

log = structlog.get_logger(__name__)

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 2.0
SILENCE_SECONDS = 2.0
"""A connection is pinged after this time without a byte from the node, and is dropped after twice this time."""
READ_BYTES = 256 * 1024


class SubscriberEvents(Protocol):
    """The methods that a NodeSubscriber calls to report events."""

    def on_confirmed(self, channel: bytes) -> None:
        """Called when the node has confirmed the subscription to a channel."""

    def on_dropped(self, channel: bytes) -> None:
        """Called when the node ends a subscription, because the node no longer serves the slot of the channel."""

    def on_refused(self, node: Node) -> None:
        """Called when the node refuses a subscription, because another node serves the slot of the channel."""

    def on_lost(self, node: Node, error: Exception) -> None:
        """Called when the connection to the node is lost, or an attempt to connect has failed."""


class NodeSubscriber:
    """Subscribes to channels of one node. `receive` is called with the channel and the bytes of each message."""

    def __init__(
        self, node: Node, client: redis.asyncio.Redis, events: SubscriberEvents, receive: Callable[[bytes, bytes], None]
    ) -> None:
        self.node = node
        self.channels: frozenset[bytes] = frozenset()
        self.confirmed: set[bytes] = set()
        self.failures = 0
        """The number of lost connections and failed attempts to connect since the last successful attempt."""
        self._client = client
        self._events = events
        self._receive = receive
        self._connection: Any = None
        self._heard = False
        self._tasks = [asyncio.ensure_future(self._run()), asyncio.ensure_future(self._watch_silence())]

    def set_channels(self, channels: frozenset[bytes]) -> None:
        """Replaces the channels of this subscriber, and sends the node the changed subscriptions.

        Also subscribes again to channels that the node has not confirmed yet.
        """
        removed, self.channels = self.channels - channels, channels
        self.confirmed -= removed
        self._send("SUNSUBSCRIBE", removed)
        self._send("SSUBSCRIBE", channels - self.confirmed)

    def drop(self) -> None:
        """Drops the connection. The subscriber then connects again."""
        if self._connection is not None:
            self._connection._writer.transport.abort()

    async def close(self) -> None:
        await end_tasks(self._tasks)
        await self._disconnect()
        await self._client.aclose()

    async def _run(self) -> None:
        backoff = Backoff(Random(), FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)  # noqa: S311
        while True:
            try:
                await self._connect()
                backoff.reset()
                await self._read()
            except (RedisError, OSError) as error:
                await self._lose(error)
                await asyncio.sleep(backoff())
            except Exception:
                log.exception("subscriber failed", node=str(self.node))
                await self._lose(ConnectionError("a bug"))
                await asyncio.sleep(1)

    async def _connect(self) -> None:
        pool: Any = self._client.connection_pool
        connection = pool.make_connection()
        await connection.connect()
        self._connection = connection
        self._heard = True
        self._send("SSUBSCRIBE", self.channels)
        if self.failures:
            log.info("node reconnected", node=str(self.node), failures=self.failures)
        self.failures = 0

    async def _read(self) -> None:
        reader, stream, receive = Reader(), self._connection._reader, self._receive
        while data := await stream.read(READ_BYTES):
            self._heard = True
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                if type(reply) is list and reply[0] == b"smessage":
                    receive(reply[1], reply[2])
                else:
                    self._handle(reply)
        raise ConnectionError("the node has closed the connection")

    def _handle(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            self._events.on_refused(self.node)
        elif reply[0] == b"ssubscribe" and reply[1] in self.channels:
            self.confirmed.add(reply[1])
            self._events.on_confirmed(reply[1])
        elif reply[0] == b"sunsubscribe" and reply[1] in self.confirmed:
            self.confirmed.discard(reply[1])
            self._events.on_dropped(reply[1])

    async def _lose(self, error: Exception) -> None:
        self.failures += 1
        if self.failures == 1:
            log.warning("node disconnected", node=str(self.node), reason=type(error).__name__)
        await self._disconnect()
        self._events.on_lost(self.node, error)
        self.confirmed.clear()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _watch_silence(self) -> None:
        # Needed because a connection through a proxy or NAT can fail without an error.
        pinged = False
        while True:
            await asyncio.sleep(SILENCE_SECONDS)
            silent, self._heard = not self._heard, False
            if silent and pinged:
                self.drop()
            pinged = silent and not pinged and self._connection is not None
            if pinged:
                self._send("PING")

    def _send(self, command: str, channels: Iterable[bytes] | None = None) -> None:
        """Sends a command to the node without waiting for the reply.

        `channels` are the arguments of the command. Channels of different slots are sent in separate commands.
        """
        if self._connection is None:
            return
        commands: list[tuple[Any, ...]] = [(command,)]
        if channels is not None:
            commands = [(command, *group) for _, group in groupby(sorted(channels, key=key_slot), key_slot)]
        if commands:
            self._connection._writer.write(b"".join(self._connection.pack_commands(commands)))
