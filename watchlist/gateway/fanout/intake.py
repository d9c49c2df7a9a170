"""What comes in: the only reader of the channel layer, one subscription per symbol and process.

It follows what the hub wants: joins a symbol's group, and once that is confirmed reads the newest value from Redis, in
this order, so that nothing falls between the two. Every few seconds, and after a lost connection, it reads all that is
wanted again and hands in what is newer. Sockets never wait for it and never hear of its failures.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import structlog
from redis.exceptions import RedisError

from feeds.errors import BadRecord
from feeds.retry import Backoff, Jitter
from feeds.wire import channel_name, decode, stock_key
from watchlist.gateway.fanout.hub import Hub

log = structlog.get_logger(__name__)

RESYNC_EVERY = 5.0
"""Seconds between two full readings; a last price that was lost on the way is at most this late."""
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.2, 2.0
"""Bounds of the growing wait between two attempts while Redis is unavailable."""
AT_ONCE = 1000
"""Symbols of one MGET."""


class Intake:
    """`layer` is the channel layer `prices`, `redis` an asyncio client for reading."""

    def __init__(self, layer: Any, redis: Any) -> None:
        self._layer = layer
        self._redis = redis
        self._hub: Hub | None = None
        self._channel = ""
        self._wanted: set[str] = set()
        self._joined: set[str] = set()
        self._unread: set[str] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.fast = False
        self.connected = False
        self.losses = 0
        self.resyncs = 0

    def start(self, hub: Hub) -> None:
        """Begins to follow the hub; returns at once, Redis there or not."""
        self._hub = hub
        self._tasks = [asyncio.ensure_future(self._follow()), asyncio.ensure_future(self._resync_often())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._layer.flush()

    def want(self, symbol: str) -> None:
        self._wanted.add(symbol)
        self._unread.add(symbol)
        self._wake.set()

    def unwant(self, symbol: str) -> None:
        self._wanted.discard(symbol)
        self._unread.discard(symbol)
        self._wake.set()

    async def _follow(self) -> None:
        failures, backoff = 0, Backoff(Random(), FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)  # noqa: S311
        while True:
            try:
                await self._attach()
                await self._match()
                failures = 0
                backoff.reset()
            except (RedisError, OSError) as error:
                failures += 1
                self.connected = False
                if failures == 1:
                    log.warning("prices are out of reach", reason=type(error).__name__, wanted=len(self._wanted))
                await asyncio.sleep(backoff())
            except Exception:
                log.exception("intake failed")
                await asyncio.sleep(1)

    async def _attach(self) -> None:
        if not self._channel:
            self._channel = await self._layer.new_channel()
            self.connected = True
            if self.fast:
                return
            try:
                self._layer.set_sink(self._take, self._note_loss, self._note_back)
                self.fast = True
            except AttributeError:
                self._tasks.append(asyncio.ensure_future(self._receive()))

    async def _match(self) -> None:
        """Makes what is joined equal what is wanted, reads what is not read yet, then waits for the next change."""
        self._wake.clear()
        for symbol in self._joined - self._wanted:
            await self._layer.group_discard(channel_name(symbol), self._channel)
            self._joined.discard(symbol)
        missing = list(self._wanted - self._joined)
        await asyncio.gather(*(self._layer.group_add(channel_name(symbol), self._channel) for symbol in missing))
        self._joined.update(missing)
        unread = self._unread & self._joined
        await self._read(list(unread))
        self._unread -= unread
        self.connected = True
        if not self._wake.is_set():
            await self._wake.wait()

    async def _read(self, symbols: Sequence[str]) -> None:
        hub = self._hub
        for start in range(0, len(symbols), AT_ONCE):
            part = symbols[start : start + AT_ONCE]
            values = await self._redis.mget([stock_key(symbol) for symbol in part])
            for symbol, value in zip(part, values, strict=True):
                if value is not None and hub is not None:
                    hub.take(channel_name(symbol).encode(), value, read=True)

    async def _resync_often(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_EVERY)
            self.resync()

    def resync(self) -> None:
        """Has all that is wanted read again soon."""
        self.resyncs += 1
        self._unread |= self._wanted
        self._wake.set()

    def _take(self, channel: bytes, data: bytes) -> None:
        assert self._hub is not None  # noqa: S101 - the sink is set after the hub
        self._hub.take(channel, data)

    def _note_loss(self) -> None:
        self.losses += 1
        self.connected = False

    def _note_back(self) -> None:
        self.connected = True
        self.resync()

    async def _receive(self) -> None:
        """The slow way, for a layer without a sink: its messages do not name their channel, so their symbol does."""
        while True:
            data = await self._layer.receive(self._channel)
            try:
                symbol = decode(data).symbol
            except BadRecord:
                log.warning("a published value is not a price update", size=len(data))
                continue
            self._take(channel_name(symbol).encode(), data)
