"""Reads updates from Redis into the hub, with one subscription per symbol and process.

The hub names the symbols to read. The intake joins the channel-layer group of a symbol, waits for the confirmation, and
then reads the quote from Redis: in this order no update is missed. It reads the quotes of all symbols again (a resync)
every RESYNC_SECONDS and after a lost connection. Sockets never wait for the intake and do not see its errors.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import structlog
from redis.exceptions import RedisError

from feeds.retry import Backoff, Jitter
from feeds.wire import channel_name, stock_key
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.fanout.price_layer import PriceLayer

log = structlog.get_logger(__name__)

RESYNC_SECONDS = 5.0
"""The interval of resyncs. It bounds how late the last price of a symbol is if its publication was lost."""
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.2, 2.0
"""Bounds of the growing wait between two attempts while Redis is unavailable."""
MGET_SYMBOLS = 1000
"""The most quotes that one MGET reads."""


class Intake:
    """Reads nothing until `start`; symbols may be added before.

    `connected` says whether Redis answers. `losses` is the number of lost connections, `resyncs` that of resyncs.
    """

    def __init__(self) -> None:
        self._layer: PriceLayer
        self._redis: Any
        self._hub: Hub
        self._channel = ""
        self._symbols: set[str] = set()
        self._joined: set[str] = set()
        self._unread: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.connected = False
        self.losses = 0
        self.resyncs = 0

    def start(self, hub: Hub, layer: PriceLayer, redis: Any) -> None:
        """Starts to read updates into the hub. Returns at once, even if Redis is unavailable.

        `redis` is an asyncio client that reads quotes.
        """
        self._hub, self._layer, self._redis = hub, layer, redis
        self._tasks = [asyncio.ensure_future(self._run()), asyncio.ensure_future(self._resync_periodically())]

    async def stop(self) -> None:
        if not self._tasks:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._layer.flush()

    def add_symbol(self, symbol: str) -> None:
        self._symbols.add(symbol)
        self._unread.add(symbol)
        self._changed.set()

    def remove_symbol(self, symbol: str) -> None:
        self._symbols.discard(symbol)
        self._unread.discard(symbol)
        self._changed.set()

    def resync(self) -> None:
        """Requests that the quotes of all symbols are read again. Returns at once."""
        self.resyncs += 1
        self._unread |= self._symbols
        self._changed.set()

    async def _run(self) -> None:
        failures, backoff = 0, Backoff(Random(), FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)  # noqa: S311
        while True:
            try:
                await self._attach()
                await self._synchronize()
                failures = 0
                backoff.reset()
                await self._changed.wait()
            except (RedisError, OSError) as error:
                failures += 1
                self.connected = False
                if failures == 1:
                    log.warning("prices unavailable", reason=type(error).__name__, symbols=len(self._symbols))
                await asyncio.sleep(backoff())
            except Exception:
                log.exception("intake failed")
                await asyncio.sleep(1)

    async def _attach(self) -> None:
        if not self._channel:
            self._channel = await self._layer.new_channel()
            self._layer.set_receiver(self._hub.receive, self._on_disconnect, self._on_reconnect)
            self.connected = True

    async def _synchronize(self) -> None:
        """Joins and leaves groups until they match the symbols. Then reads the quotes that are to be read."""
        self._changed.clear()
        for symbol in self._joined - self._symbols:
            await self._layer.group_discard(channel_name(symbol), self._channel)
            self._joined.discard(symbol)
        missing = list(self._symbols - self._joined)
        await asyncio.gather(*(self._layer.group_add(channel_name(symbol), self._channel) for symbol in missing))
        self._joined.update(missing)
        unread = self._unread & self._joined
        await self._read_quotes(list(unread))
        self._unread -= unread
        self.connected = True

    async def _read_quotes(self, symbols: Sequence[str]) -> None:
        for start in range(0, len(symbols), MGET_SYMBOLS):
            part = symbols[start : start + MGET_SYMBOLS]
            values = await self._redis.mget([stock_key(symbol) for symbol in part])
            for symbol, value in zip(part, values, strict=True):
                if value is not None:
                    self._hub.receive(channel_name(symbol).encode(), value, from_store=True)

    async def _resync_periodically(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            self.resync()

    def _on_disconnect(self) -> None:
        self.losses += 1
        self.connected = False

    def _on_reconnect(self) -> None:
        self.connected = True
        self.resync()
