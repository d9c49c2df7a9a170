"""Decides which symbols this process feeds.

A symbol goes through these steps:

- wanted: a ticker names a source for the symbol;
- owned: Redis says that this process may feed the symbol;
- opened: the symbol's last updates in the topic are read, and trades are sent;
- closed: no more trades are sent;
- released: Kafka has acknowledged all updates, and another process may own the symbol.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Protocol

import structlog

from feeds.errors import StoreUnavailable, TransientError
from feeds.feeder.publisher import Publisher
from feeds.records import TopicEnd
from feeds.retry import Outage

log = structlog.get_logger(__name__)

Subscriptions = Mapping[str, tuple[str, str]]
"""A dict from symbol to source and native symbol, such as `{"BTC/USD": ("coinbase", "BTC-USD")}`."""


class Ownership(Protocol):
    """The right of this process to feed symbols; `feeds.store.ownership` implements this protocol."""

    def claim(self, symbols: Collection[str]) -> set[str]: ...
    def renew(self, symbols: Collection[str]) -> set[str]: ...
    def release(self, symbols: Collection[str]) -> None: ...


class Feeds(Protocol):
    """Begins and stops the feeding of symbols; `feeds.feeder.feeder` implements this protocol."""

    def open(self, symbol: str, source: str, native: str, end: TopicEnd | None) -> None: ...
    def close(self, symbols: Collection[str]) -> None: ...


class OwnedSymbols:
    """Tracks which symbols this process owns, and feeds the wanted ones.

    `read_ends` reads the end of the topic, and returns the last seq_id, time and trades of each symbol as a TopicEnd.
    `read_ends` may raise TransientError.
    """

    def __init__(
        self,
        ownership: Ownership,
        publisher: Publisher,
        feeds: Feeds,
        read_ends: Callable[[Collection[str]], Mapping[str, TopicEnd]],
        redis: Outage,
        kafka: Outage,
    ) -> None:
        self._ownership = ownership
        self._publisher = publisher
        self._feeds = feeds
        self._read_ends = read_ends
        self._redis = redis
        self._kafka = kafka
        self._wanted: Subscriptions = {}
        self._fed: dict[str, tuple[str, str]] = {}
        self._opening: set[str] = set()
        self._releasing: set[str] = set()
        self._owned: set[str] = set()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = 0

    @property
    def fed(self) -> Collection[str]:
        return self._fed.keys()

    async def follow(self, wanted: Subscriptions) -> None:
        """Claims the wanted symbols, feeds those that this process owns, and stops feeding all others.

        Call this method each second, because claims expire.
        """
        self._wanted = wanted
        await self._claim()
        self._close_lost()
        changed = [symbol for symbol, feed in self._fed.items() if wanted.get(symbol) != feed]
        # After a loss, all symbols are closed and opened again: opening reads which updates are in the topic.
        self._start_release(self._fed.keys() if self._has_lost_updates() else changed)
        ready = self._owned.intersection(wanted) - self._fed.keys() - self._opening - self._releasing
        if ready:
            self._opening |= ready
            self._start(self._open(ready))

    async def release_all(self, seconds: float) -> None:
        """Stops feeding all symbols, and releases them. Gives up after `seconds` seconds."""
        self._wanted = {}
        self._start_release(self._fed.keys())
        if self._tasks:
            _done, pending = await asyncio.wait(self._tasks, timeout=seconds)
            for task in pending:
                task.cancel()

    async def _claim(self) -> None:
        """Renews the claims that this process holds, and tries to claim all other wanted symbols."""
        try:
            async with self._lock:
                held = {*self._fed, *self._opening, *self._releasing}
                kept = await asyncio.to_thread(self._ownership.renew, held)
                taken = await asyncio.to_thread(self._ownership.claim, self._wanted.keys() - held)
                self._owned = kept | taken
        except StoreUnavailable as error:
            self._redis.begin(f"{error}; feeding the symbols that this process owns")
        else:
            self._redis.end()
        self._publisher.resume()

    def _close_lost(self) -> None:
        """Stops feeding symbols that another process owns now."""
        # A symbol is lost only if this process was paused for so long that its claim expired.
        lost = self._fed.keys() - self._owned - self._releasing
        if lost:
            log.warning("symbols lost to another process", symbols=sorted(lost)[:20], count=len(lost))
            self._close(lost)

    def _has_lost_updates(self) -> bool:
        """Returns whether updates were lost on their way to Kafka since the last call of this method."""
        before, self._failed = self._failed, self._publisher.failed
        return self._failed > before

    def _close(self, symbols: Collection[str]) -> None:
        self._feeds.close(symbols)
        for symbol in symbols:
            del self._fed[symbol]

    def _start_release(self, symbols: Collection[str]) -> None:
        closing = set(symbols)
        if closing:
            self._close(closing)
            self._releasing |= closing
            self._start(self._release(closing))

    async def _release(self, symbols: Collection[str]) -> None:
        """Waits until all sent updates are acknowledged or have failed. Then releases the symbols.

        If a symbol has become wanted again in the meantime, this process keeps the symbol.
        """
        try:
            await self._publisher.drain()
            async with self._lock:  # a claim at the same time would take the symbols again
                self._releasing.difference_update(symbols)
                if unwanted := [symbol for symbol in symbols if symbol not in self._wanted]:
                    self._owned.difference_update(unwanted)
                    await asyncio.to_thread(self._ownership.release, unwanted)
        except StoreUnavailable as error:
            log.info("symbols not released, they expire by themselves", reason=str(error))

    async def _open(self, symbols: Collection[str]) -> None:
        """Reads the last updates of symbols in the topic, then begins to feed the symbols."""
        try:
            ends = await asyncio.to_thread(self._read_ends, symbols)
        except TransientError as error:
            self._kafka.begin(error)
            return
        finally:
            self._opening.difference_update(symbols)
        self._kafka.end()
        for symbol in symbols:
            if symbol in self._owned and symbol in self._wanted and symbol not in self._releasing:
                source, native = self._wanted[symbol]
                self._feeds.open(symbol, source, native, ends.get(symbol))
                self._fed[symbol] = self._wanted[symbol]
        log.info("symbols opened", count=len(symbols), continued=len(ends))

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
