"""The channel layer `prices`, whose groups are the Redis channels `prices.SYMBOL`.

`group_add("prices.AAPL", channel)` subscribes to the Redis channel `prices.AAPL`. `set_receiver` sets three functions.
One gets the published bytes, one is called after a lost connection, and one after a reconnect.

Only this module, `reply_reader` and `node_subscriber` use private names of channels_redis and redis-py.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import structlog
from channels_redis.pubsub import (
    RedisPubSubChannelLayer,
    RedisPubSubLoopLayer,
    RedisSingleShardConnection,
)
from channels_redis.serializers import registry
from channels_redis.utils import _wrap_close
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from feeds.retry import Backoff, Jitter
from feeds.store.connection import connect_subscriber
from watchlist.gateway.fanout.price_layer import Receiver
from watchlist.gateway.fanout.reply_reader import ReplyReader

log = structlog.get_logger(__name__)

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 2.0
"""The shortest and the longest wait between two attempts to reconnect. The wait grows with each failure."""
SILENCE_SECONDS = 2.0
"""A connection is pinged after this time without a byte from Redis, and counts as lost after twice this time."""
CONFIRM_SECONDS = 5.0
"""How long Redis may take to confirm a subscription. After this time, the connection counts as lost."""


class RawSerializer:
    """Passes messages on unchanged. Adds no envelope and no encryption."""

    def __init__(self, **_: Any) -> None: ...

    def serialize(self, message: bytes) -> bytes:
        return message

    def deserialize(self, message: bytes) -> bytes:
        return message


registry.register_serializer("raw", RawSerializer)


class NoRetry(Retry):
    """Makes redis-py raise the first error instead of repeating the command."""

    def __init__(self) -> None:
        super().__init__(NoBackoff(), 0)

    async def call_with_retry(self, do: Any, *_: Any, **__: Any) -> Any:
        return await do()  # redis-py must not reconnect silently, because PricesShard must report a lost connection


class PricesShard(RedisSingleShardConnection):  # type: ignore[misc]
    """One connection to Redis (a shard in channels_redis), which reconnects after a loss.

    A ReplyReader handles published messages. A task handles all other replies of Redis.
    """

    def __init__(self, host: dict[str, Any], channel_layer: "PricesLoopLayer") -> None:
        super().__init__(host, channel_layer)
        self._redis: Any
        self._pubsub: Any
        self._has_subscription = asyncio.Event()
        self._unconfirmed: dict[str, asyncio.Future[None]] = {}
        self._reader: ReplyReader | None = None
        self._fault = ""
        """Why this process dropped the connection. The next log record about a lost connection shows this text."""

    async def subscribe(self, channel: str) -> None:
        """Subscribes to a Redis channel, and waits for the confirmation. Raises RedisError or OSError."""
        if channel in self._subscribed_to and channel not in self._unconfirmed:
            return
        confirmed = self._unconfirmed.setdefault(channel, asyncio.get_running_loop().create_future())
        try:
            await super().subscribe(channel)
            self._has_subscription.set()
            await self._wait_confirmed(confirmed)
        except BaseException as error:
            if self._unconfirmed.get(channel) is confirmed:
                del self._unconfirmed[channel]
                if isinstance(error, TimeoutError):
                    self._subscribed_to.discard(channel)  # the next call must wait for a confirmation again
            raise

    async def _wait_confirmed(self, confirmed: "asyncio.Future[None]") -> None:
        # Waits twice: if this process is blocked during the first wait, the second wait reads the reply.
        for _ in range(2):
            await asyncio.wait({confirmed}, timeout=CONFIRM_SECONDS / 2)
            if confirmed.done():
                return confirmed.result()
        self._drop_connection("a subscription was not confirmed")
        raise TimeoutError(f"Redis did not confirm a subscription within {CONFIRM_SECONDS} s")

    async def unsubscribe(self, channel: str) -> None:
        """Unsubscribes from a Redis channel. If Redis does not answer, the next reconnect omits the channel."""
        try:
            await super().unsubscribe(channel)
        except (RedisError, OSError):
            self._subscribed_to.discard(channel)
        if self._pubsub is not None:
            self._pubsub.channels.pop(channel.encode(), None)

    def _ensure_redis(self) -> None:
        if self._redis is None:
            self._redis = connect_subscriber(self.host, NoRetry())
            self._pubsub = self._redis.pubsub()

    async def _do_receiving(self) -> None:
        watch = asyncio.ensure_future(self._watch_silence())
        try:
            await self._receive_and_reconnect()
        finally:
            watch.cancel()

    async def _receive_and_reconnect(self) -> None:
        failures, backoff = 0, Backoff(Random(), FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)  # noqa: S311
        while True:
            try:
                if failures:
                    await self._reconnect()
                    log.info("channel layer reconnected", failures=failures)
                    failures = 0
                    backoff.reset()
                    self.channel_layer.report_reconnect()
                elif not (self._pubsub and self._pubsub.subscribed):
                    self._has_subscription.clear()
                    await self._has_subscription.wait()
                await self._receive_reply()
            except (RedisError, OSError) as error:
                failures += 1
                if failures == 1:
                    log.warning("channel layer disconnected", reason=self._fault or type(error).__name__)
                    self.channel_layer.report_disconnect()
                self._fault = ""
                self._fail_unconfirmed(error)
                await asyncio.sleep(backoff())
            except Exception:
                log.exception("channel layer failed")
                await asyncio.sleep(1)

    async def _watch_silence(self) -> None:
        # Needed because a connection through a proxy or NAT can fail without an error.
        pinged = False
        while True:
            await asyncio.sleep(SILENCE_SECONDS)
            heard = self._reader is not None and self._reader.heard
            silent = not heard and bool(self._pubsub and self._pubsub.subscribed and self._pubsub.connection)
            if self._reader is not None:
                self._reader.heard = False
            if silent and pinged:
                self._drop_connection("no reply to a ping")
            pinged = silent and not pinged and await self._ping()

    async def _ping(self) -> bool:
        """Sends a ping without waiting for the reply. Returns whether the ping was sent."""
        # The lock keeps the ping out of the handshake of a connection that is being opened.
        async with self._lock:
            connection = self._pubsub.connection if self._pubsub is not None else None
            if connection is None or not connection.is_connected:
                return False
            try:
                await connection.send_command("PING", check_health=False)
            except (RedisError, OSError):
                return False
            return True

    def _drop_connection(self, fault: str) -> None:
        """Drops the connection. The task that reads from the connection then gets an error and reconnects."""
        connection = self._pubsub.connection if self._pubsub is not None else None
        if connection is not None and connection.is_connected and not connection._writer.transport.is_closing():
            self._fault = fault
            connection._writer.transport.abort()

    async def _reconnect(self) -> None:
        # Without the lock, `subscribe` could connect at the same time, and one of the two sockets would stay open.
        async with self._lock:
            connection = self._pubsub.connection
            if connection is not None:
                await connection.disconnect(nowait=True)
            await self._pubsub.connect()

    async def _receive_reply(self) -> None:
        connection = self._pubsub.connection
        if connection is None or not connection.is_connected:
            raise ConnectionError("The connection to Redis is closed")  # redis-py would reconnect silently here.
        if self._reader is None or self._reader.stream is not connection._reader:
            self._reader = ReplyReader(connection, self.channel_layer.dispatch)
        await self._handle_reply(await self._reader.next_reply())

    async def _handle_reply(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            raise reply
        # redis-py must see each confirmation of an unsubscribe. Otherwise a reconnect would subscribe again.
        await self._pubsub.handle_message(reply)
        if reply[0] == b"subscribe":
            confirmed = self._unconfirmed.pop(reply[1].decode(), None)
            if confirmed and not confirmed.done():
                confirmed.set_result(None)

    def _fail_unconfirmed(self, error: Exception) -> None:
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        for channel, confirmed in unconfirmed.items():
            self._subscribed_to.discard(channel)
            if not confirmed.done():
                confirmed.set_exception(error)
                confirmed.exception()  # Marks the error as seen: a cancelled subscriber awaits no result.


class PricesLoopLayer(RedisPubSubLoopLayer):  # type: ignore[misc]
    """The part of the channel layer that serves one event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shards: list[PricesShard] = [PricesShard(shard.host, self) for shard in self._shards]
        self._receiver: Receiver | None = None
        self._on_disconnect: Callable[[], None] | None = None
        self._on_reconnect: Callable[[], None] | None = None

    def set_receiver(
        self, receiver: Receiver, on_disconnect: Callable[[], None], on_reconnect: Callable[[], None]
    ) -> None:
        self._receiver, self._on_disconnect, self._on_reconnect = receiver, on_disconnect, on_reconnect

    def dispatch(self, channel: bytes, data: bytes) -> None:
        """Passes a message of a joined group to the receiver.

        If there is no receiver or the group is not joined, the message goes to the queue of channels_redis.
        """
        name = channel.decode()
        if self._receiver is not None and name in self.groups:
            self._receiver(channel, data)  # takes 3.5 us; the queue and `receive()` take 35 us
        else:
            self._get_shard(name)._receive_message({"channel": name, "data": data})

    def report_disconnect(self) -> None:
        if self._on_disconnect:
            self._on_disconnect()

    def report_reconnect(self) -> None:
        if self._on_reconnect:
            self._on_reconnect()

    def _get_group_channel_name(self, group: str) -> str:
        return group


class PricesChannelLayer(RedisPubSubChannelLayer):  # type: ignore[misc]
    """Implements `PriceLayer` for one Redis server, with one PricesLoopLayer per event loop."""

    lost_nodes = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, serializer_format="raw", **kwargs)

    def set_receiver(
        self, receiver: Receiver, on_disconnect: Callable[[], None], on_reconnect: Callable[[], None]
    ) -> None:
        """Sets the functions for this event loop, as `PriceLayer.set_receiver` describes."""
        self._get_layer().set_receiver(receiver, on_disconnect, on_reconnect)

    def _get_layer(self) -> PricesLoopLayer:
        loop = asyncio.get_running_loop()
        layer: PricesLoopLayer | None = self._layers.get(loop)
        if layer is None:
            layer = self._layers[loop] = PricesLoopLayer(*self._args, **self._kwargs, channel_layer=self)
            _wrap_close(self, loop)
        return layer
