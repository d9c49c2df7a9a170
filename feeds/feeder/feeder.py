"""Sends the trades of real sources to Kafka.

All sources share one event loop and one Kafka producer. Calls that may block run in threads.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

import msgspec
import structlog

from feeds import metrics
from feeds.errors import LeaseHeld, StoreUnavailable, TransientError
from feeds.feeder.owned_symbols import OwnedSymbols, Ownership
from feeds.feeder.publisher import Publisher
from feeds.feeder.running_source import RunningSource
from feeds.kafka.producer import UpdateProducer
from feeds.program_health import heartbeat
from feeds.records import TopicEnd
from feeds.retry import Outage
from feeds.sources.events import Trade
from feeds.store.feed_state import FeedState

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.1
FOLLOW_SECONDS = 1.0
CLOSE_SECONDS = 3.0
"""How long each step of the shutdown may take. The steps send trades, wait for Kafka, and close the producer."""

CLOSE_SECONDS_IN_OUTAGE = 0.5
"""The value that replaces CLOSE_SECONDS while Kafka is unavailable."""


class Lease(Protocol):
    """The right to feed the symbols of a source; `feeds.store.lease` implements this protocol."""

    def acquire(self, wait: Callable[[float], object]) -> None: ...
    def renew(self) -> None: ...
    def release(self) -> None: ...


class States(Protocol):
    """Stores the states of sources; `feeds.store.feed_state` implements this protocol."""

    def write(self, states: Mapping[str, FeedState]) -> None: ...
    def remove(self, sources: Collection[str]) -> None: ...


class FeedTotals(msgspec.Struct, frozen=True):
    """How many updates Kafka acknowledged, and how many it did not acknowledge."""

    delivered: int
    undelivered: int


class Feeder:
    """Sends the trades of real sources to Kafka.

    `leases` has one lease for each source. `read_subscriptions` returns the symbols of each source with their native
    symbols, such as `{"coinbase": {"BTC/USD": "BTC-USD"}}`. `read_ends` reads the end of the topic, and
    returns the last seq_id, time and trades of each symbol as a TopicEnd. Both functions may raise TransientError.
    """

    def __init__(
        self,
        make_sources: Callable[[Publisher], Sequence[RunningSource]],
        producer: UpdateProducer,
        ownership: Ownership,
        leases: Mapping[str, Lease],
        read_subscriptions: Callable[[], Mapping[str, Mapping[str, str]]],
        read_ends: Callable[[Collection[str]], Mapping[str, TopicEnd]],
        states: States,
    ) -> None:
        self._producer = producer
        self._publisher = Publisher(producer, self._note_merged)
        self._sources = {source.name: source for source in make_sources(self._publisher)}
        self._leases = dict(leases)
        self._read_subscriptions = read_subscriptions
        self._states = states
        self._redis, self._database = Outage("Redis"), Outage("database")
        self._owned = OwnedSymbols(ownership, self._publisher, self, read_ends, self._redis, producer.outage)
        self._subscriptions: Mapping[str, Mapping[str, str]] = {}
        self._delivered = 0
        self._executor = ThreadPoolExecutor(1, "tickers")
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, stop: threading.Event) -> FeedTotals:
        """Sends trades to Kafka until `stop` is set. Raises LeaseHeld if other processes feed all sources already."""
        try:
            if await self._acquire_leases(stop):
                await self._feed(stop)
        finally:
            totals = await self._finish()
        return totals

    def open(self, symbol: str, source: str, native: str, end: TopicEnd | None) -> None:
        """Begins to send the trades of a symbol to Kafka.

        `end` describes the symbol's last updates in the topic. `end` is None if the topic has no update of the symbol.
        """
        self._sources[source].open_symbol(symbol, native, end)

    def close(self, symbols: Collection[str]) -> None:
        """Stops sending the trades of `symbols`. The symbols may belong to several sources."""
        for running in self._sources.values():
            running.feed.close([symbol for symbol in symbols if symbol in running.feed.symbols])

    async def _acquire_leases(self, stop: threading.Event) -> bool:
        """Takes the lease of each source, and drops the sources that another process feeds.

        Returns False if `stop` has been set. Raises LeaseHeld if no source is left.
        """
        refusal: LeaseHeld | None = None
        for name, lease in list(self._leases.items()):
            while not stop.is_set():
                try:
                    await asyncio.to_thread(lease.acquire, stop.wait)
                    break
                except LeaseHeld as error:
                    refusal = error
                    self._drop_source(name, error)
                    break
                except StoreUnavailable as error:
                    self._redis.begin(f"{error}; waiting for the lease")
                    await asyncio.to_thread(stop.wait, FOLLOW_SECONDS)
        self._redis.end()
        if not self._leases and refusal is not None:
            raise refusal
        return not stop.is_set()

    def _drop_source(self, name: str, error: LeaseHeld) -> None:
        """Stops feeding a source whose lease another process holds."""
        log.error(str(error))
        del self._leases[name]
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()

    async def _feed(self, stop: threading.Event) -> None:
        log.info("feeder ready", sources=list(self._leases))
        self._tasks = {name: asyncio.create_task(self._sources[name].run()) for name in self._leases}
        loops = [
            asyncio.create_task(self._repeat(seconds, task))
            for seconds, task in (
                (TICK_SECONDS, self._tick),
                (FOLLOW_SECONDS / 2, self._follow_tickers),
                (FOLLOW_SECONDS / 2, self._follow_symbols),
                (FOLLOW_SECONDS, self._renew_leases),
                (FOLLOW_SECONDS, self._report),
            )
        ]
        try:
            while not (stop.is_set() or all(task.done() for task in self._tasks.values())):
                await asyncio.to_thread(stop.wait, FOLLOW_SECONDS)
        finally:
            await cancel([*self._tasks.values()])
            with suppress(TimeoutError):
                async with asyncio.timeout(self._close_seconds):
                    await self._publisher.send_waiting()
            await self._owned.release_all(self._close_seconds)
            await cancel(loops)

    async def _repeat(self, seconds: float, task: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await task()
            except Exception:
                log.exception("feeder task failed, it continues", task=getattr(task, "__name__", ""))
            await asyncio.sleep(seconds)

    async def _tick(self) -> None:
        heartbeat.beat()
        for running in self._sources.values():
            running.update_natives()
            running.check()
        self._publisher.pump()

    async def _follow_tickers(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            self._subscriptions = await loop.run_in_executor(self._executor, self._read_subscriptions)
        except TransientError as error:
            self._database.begin(f"{error}; feeding the last known tickers")
        else:
            self._database.end()

    async def _follow_symbols(self) -> None:
        wanted: dict[str, tuple[str, str]] = {}
        for name in self._leases:
            natives = self._sources[name].map_symbols(self._subscriptions.get(name, {}))
            wanted |= {symbol: (name, native) for symbol, native in natives.items()}
        await self._owned.follow(wanted)

    async def _renew_leases(self) -> None:
        for name, lease in list(self._leases.items()):
            try:
                await asyncio.to_thread(lease.renew)
            except LeaseHeld as error:
                self._drop_source(name, error)
            except StoreUnavailable as error:
                self._redis.begin(f"{error}; feeding without a lease")

    async def _report(self) -> None:
        self._publisher.report()
        metrics.FEED_DELIVERED.inc(self._publisher.delivered - self._delivered)
        self._delivered = self._publisher.delivered
        for name in self._leases:
            self._sources[name].feed.report()
        states = {name: self._sources[name].state() for name in self._leases}
        try:
            await asyncio.to_thread(self._states.write, states)
        except StoreUnavailable as error:
            self._redis.begin(f"{error}; states of sources not stored")

    def _note_merged(self, symbol: str, trades: Sequence[Trade]) -> None:
        for running in self._sources.values():
            running.feed.note_merged(symbol, trades)

    @property
    def _close_seconds(self) -> float:
        return CLOSE_SECONDS_IN_OUTAGE if self._producer.outage.ongoing else CLOSE_SECONDS

    async def _finish(self) -> FeedTotals:
        undelivered = await asyncio.to_thread(self._producer.close, self._close_seconds)
        totals = FeedTotals(self._producer.delivered, undelivered)
        try:
            await asyncio.to_thread(self._states.remove, list(self._leases))
            for lease in self._leases.values():
                await asyncio.to_thread(lease.release)
        except StoreUnavailable as error:
            log.info("leases not released, they expire by themselves", reason=str(error))
        self._executor.shutdown(wait=False)
        log.info("feeder stopped", delivered=totals.delivered, undelivered=totals.undelivered)
        return totals


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels tasks, and waits until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
