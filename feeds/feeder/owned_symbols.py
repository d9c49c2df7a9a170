"""Decides which symbols this process feeds: claims, opens, closes and releases symbols.

A symbol passes these steps:

- wanted: its ticker names a source;
- owned: Redis says that this process owns the symbol;
- opened: the end of the topic is read;
- closed: nothing more is sent;
- released: Kafka has acknowledged all updates.
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
"""A dict from symbol to a pair: the name of the source, and the native symbol.

An example is `{"BTC/USD": ("coinbase", "BTC-USD")}`.
"""


class Ownership(Protocol):
    """The symbols that this process may publish; `feeds.store.ownership` implements this protocol."""

    def claim(self, symbols: Collection[str]) -> set[str]: ...
    def renew(self, symbols: Collection[str]) -> set[str]: ...
    def release(self, symbols: Collection[str]) -> None: ...


class Feeds(Protocol):
    """Opens and closes the symbols of sources; `feeds.feeder.feeder` implements this protocol."""

    def open(self, symbol: str, source: str, native: str, end: TopicEnd | None) -> None: ...
    def close(self, symbols: Collection[str]) -> None: ...


class OwnedSymbols:
    """Tracks which symbols this process owns, and feeds the wanted ones.

    `read_ends` takes symbols and returns a dict from symbol to TopicEnd. A TopicEnd describes the last updates of a
    symbol in the topic. `read_ends` may raise TransientError.
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
        """The symbols that are fed now."""
        return self._fed.keys()

    async def follow(self, wanted: Subscriptions) -> None:
        """Replaces the set of wanted symbols, and claims these symbols in Redis.

        Begins to feed each wanted symbol that this process owns. Stops feeding each symbol that is no longer wanted or
        owned. Call this method each second, because a claim expires if it is not renewed.
        """
        self._wanted = wanted
        await self._claim()
        self._close_lost()
        changed = [symbol for symbol, feed in self._fed.items() if wanted.get(symbol) != feed]
        self._start_release(self._fed.keys() if self._has_lost_updates() else changed)
        ready = self._owned.intersection(wanted) - self._fed.keys() - self._opening - self._releasing
        if ready:
            self._opening |= ready
            self._start(self._open(ready))

    async def release_all(self, seconds: float) -> None:
        """Closes all symbols. Releases the symbols if Kafka acknowledges all updates within `seconds` seconds."""
        self._wanted = {}
        self._start_release(self._fed.keys())
        if self._tasks:
            _done, pending = await asyncio.wait(self._tasks, timeout=seconds)
            for task in pending:
                task.cancel()

    async def _claim(self) -> None:
        """Renews the claims to the symbols in use, and claims the other wanted symbols.

        If Redis does not answer, the set of owned symbols stays the same.
        """
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
        """Stops feeding symbols that another process owns now.

        A process loses a symbol only if it was paused for so long that its claim of the symbol expired.
        """
        lost = self._fed.keys() - self._owned - self._releasing
        if lost:
            log.warning("symbols lost to another process", symbols=sorted(lost)[:20], count=len(lost))
            self._close(lost)

    def _has_lost_updates(self) -> bool:
        """Returns whether updates were lost on their way to Kafka since the last call.

        After a loss, the end of the topic must be read again, to find out which updates are there.
        """
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
        """Waits until Kafka has acknowledged all updates, then releases those of `symbols` that are unwanted.

        If a symbol has become wanted again in the meantime, this process keeps it.
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
        """Reads the last updates of `symbols` in the topic, then begins to feed those symbols.

        A symbol that is no longer owned or no longer wanted after the reading is left out.
        """
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
