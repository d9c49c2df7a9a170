"""The channel layer `prices`: its groups are the Redis channels `prices.SYMBOL` themselves, its messages their bytes.

`group_add("prices.AAPL", channel)` therefore listens to what any program publishes there, and `group_send` publishes.
With `set_sink` a reader takes messages straight from the parser, 3.5 us each; without, they go the way of every channel
layer, through a queue a channel and `receive()`, 35 us each.

The only module that knows private names of channels_redis and redis-py; tests pin each of them. The layer of the
package reconnects without a word (and its hooks are never called): here a lost connection is counted, logged once,
retried with backoff and jitter, and reported when it is back, for what was published meanwhile is gone.
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
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from feeds.retry import Backoff, Jitter
from feeds.store.connection import connect_subscriber

log = structlog.get_logger(__name__)

Sink = Callable[[bytes, bytes], None]
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 2.0
"""Bounds of the growing wait between two attempts to reach Redis again."""


class RawSerializer:
    """Messages are the published bytes; nothing is added to them and nothing is encrypted."""

    def __init__(self, **_: Any) -> None: ...

    def serialize(self, message: bytes) -> bytes:
        return message

    def deserialize(self, message: bytes) -> bytes:
        return message


registry.register_serializer("raw", RawSerializer)


class RaiseAtOnce(Retry):
    """A lost connection must be seen by the shard, so redis-py may not mend it in silence."""

    def __init__(self) -> None:
        super().__init__(NoBackoff(), 0)

    async def call_with_retry(self, do: Any, *_: Any, **__: Any) -> Any:
        return await do()


class PricesShard(RedisSingleShardConnection):  # type: ignore[misc]
    """One connection that awaits a message and then takes all that the parser already holds."""

    def __init__(self, host: dict[str, Any], channel_layer: "PricesLoopLayer") -> None:
        super().__init__(host, channel_layer)
        self._redis: Any
        self._pubsub: Any
        self._wake = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def subscribe(self, channel: str) -> None:
        """Returns when Redis has confirmed, so that whatever is published from then on arrives."""
        if channel in self._subscribed_to and channel not in self._waiting:
            return
        confirmed = self._waiting.setdefault(channel, asyncio.get_running_loop().create_future())
        try:
            await super().subscribe(channel)
            self._wake.set()
            await asyncio.shield(confirmed)
        except BaseException:
            if self._waiting.get(channel) is confirmed:
                del self._waiting[channel]
            raise

    async def unsubscribe(self, channel: str) -> None:
        """Forgets the channel at once, whatever becomes of the command: a reconnect must not bring it back."""
        try:
            await super().unsubscribe(channel)
        except (RedisError, OSError):
            self._subscribed_to.discard(channel)
        if self._pubsub is not None:
            self._pubsub.channels.pop(channel.encode(), None)

    def _ensure_redis(self) -> None:
        if self._redis is None:
            self._redis = connect_subscriber(self.host, RaiseAtOnce())
            self._pubsub = self._redis.pubsub()

    async def _do_receiving(self) -> None:
        failures, backoff = 0, Backoff(Random(), FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)  # noqa: S311
        while True:
            try:
                if failures:
                    await self._reconnect()
                    log.info("channel layer is back", failures=failures)
                    failures = 0
                    backoff.reset()
                    self.channel_layer.note_reconnect()
                elif not (self._pubsub and self._pubsub.subscribed):
                    self._wake.clear()
                    await self._wake.wait()
                await self._receive_some()
            except (RedisError, OSError) as error:
                failures += 1
                if failures == 1:
                    log.warning("channel layer lost its connection", reason=type(error).__name__)
                    self.channel_layer.note_loss()
                    self._fail_waiting(error)
                await asyncio.sleep(backoff())
            except Exception:
                log.exception("channel layer failed")
                await asyncio.sleep(1)

    async def _reconnect(self) -> None:
        # The lock keeps a subscribe from connecting at the same time, which would leave one of two sockets open.
        async with self._lock:
            connection = self._pubsub.connection
            if connection is not None:
                await connection.disconnect(nowait=True)
            await self._pubsub.connect()

    async def _receive_some(self) -> None:
        connection = self._pubsub.connection
        if connection is None or not connection.is_connected:
            raise ConnectionError("closed")  # redis-py would connect again here without a word
        reply = await self._pubsub.parse_response(block=True)
        take = self.channel_layer.take
        gets = connection._parser._reader.gets
        while reply is not NOT_ENOUGH_DATA:
            if type(reply) is list and reply[0] == b"message":
                take(reply[1], reply[2])
            else:
                await self._handle(reply)
            reply = gets(False)

    async def _handle(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            raise reply
        # redis-py keeps books of these: what it does not hear unsubscribed comes back with a reconnect.
        await self._pubsub.handle_message(reply)
        if reply[0] == b"subscribe":
            confirmed = self._waiting.pop(reply[1].decode(), None)
            if confirmed and not confirmed.done():
                confirmed.set_result(None)

    def _fail_waiting(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, {}
        for channel, confirmed in waiting.items():
            self._subscribed_to.discard(channel)
            if not confirmed.done():
                confirmed.set_exception(error)
                confirmed.exception()  # whoever waits has it; one that no longer does must not be told off for it


class PricesLoopLayer(RedisPubSubLoopLayer):  # type: ignore[misc]
    """The layer of one event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shards: list[PricesShard] = [PricesShard(shard.host, self) for shard in self._shards]
        self._sink: Sink | None = None
        self._on_loss: Callable[[], None] | None = None
        self._on_back: Callable[[], None] | None = None

    def set_sink(self, sink: Sink, on_loss: Callable[[], None], on_back: Callable[[], None]) -> None:
        """Messages of groups go to `sink(channel, data)`; the others hear of a lost connection and its end."""
        self._sink, self._on_loss, self._on_back = sink, on_loss, on_back

    def take(self, channel: bytes, data: bytes) -> None:
        name = channel.decode()
        if self._sink is not None and name in self.groups:
            self._sink(channel, data)
        else:
            self._get_shard(name)._receive_message({"channel": name, "data": data})

    def note_loss(self) -> None:
        if self._on_loss:
            self._on_loss()

    def note_reconnect(self) -> None:
        if self._on_back:
            self._on_back()

    def _get_group_channel_name(self, group: str) -> str:
        return group


class PricesChannelLayer(RedisPubSubChannelLayer):  # type: ignore[misc]
    """What CHANNEL_LAYERS names; keeps one loop layer an event loop, as its parent does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, serializer_format="raw", **kwargs)

    def _get_layer(self) -> PricesLoopLayer:
        loop = asyncio.get_running_loop()
        layer: PricesLoopLayer | None = self._layers.get(loop)
        if layer is None:
            layer = self._layers[loop] = PricesLoopLayer(*self._args, **self._kwargs, channel_layer=self)
            _wrap_close(self, loop)
        return layer
