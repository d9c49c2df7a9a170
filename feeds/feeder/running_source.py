"""Builds and runs the parts of one source, such as its connections and its feed."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Protocol

import structlog

from feeds.feeder.backfills import Backfills
from feeds.feeder.missed_trades import MissedTrades
from feeds.feeder.network.connection import Connection, Endpoint
from feeds.feeder.network.http_client import HttpClient, RequestFailed
from feeds.feeder.network.source_state import SourceStateTracker
from feeds.feeder.network.supervisor import Supervisor
from feeds.feeder.publisher import Publisher
from feeds.feeder.source_feed import SourceFeed
from feeds.feeder.source_metrics import SourceMetrics
from feeds.history.backfill import Backfill
from feeds.history.pages import Fetch
from feeds.records import TopicEnd
from feeds.retry import Backoff, Jitter, Outage
from feeds.sources.adapter import BadMessage, Source
from feeds.sources.events import SymbolState
from feeds.store.feed_state import FeedState

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0
INSTRUMENTS_SECONDS = 600.0
"""The pause between two fetches of the source's list of instruments."""


class Runner(Protocol):
    """Provides the trades of a source, from connections or from a file."""

    def set_natives(self, natives: Collection[str]) -> None: ...
    async def run(self) -> None: ...


class RunningSource:
    """A source with the parts that run it. `runner` provides trades, and `feed` handles these trades."""

    def __init__(self, source: Source, feed: SourceFeed, runner: Runner) -> None:
        self.source = source
        self.feed = feed
        self._runner = runner
        self._unmapped: list[str] = []

    @property
    def name(self) -> str:
        return self.source.name

    async def run(self) -> None:
        """Provides the trades of the source until this task is cancelled."""
        await self._runner.run()

    def map_symbols(self, subscriptions: Mapping[str, str]) -> dict[str, str]:
        """Returns `subscriptions` with all native symbols filled in, such as `{"BTC/USD": "BTC-USD"}`.

        An empty native symbol is derived from its symbol. A symbol is left out and logged if it has no native symbol,
        or if an earlier symbol has the same native symbol.
        """
        symbols: dict[str, str] = {}
        for symbol, native in subscriptions.items():
            if found := native or self._derive_native(symbol):
                symbols.setdefault(found, symbol)
        mapped = {symbol: native for native, symbol in symbols.items()}
        unmapped = sorted(subscriptions.keys() - mapped.keys())
        if new := [symbol for symbol in unmapped if symbol not in self._unmapped]:
            log.warning("symbols have no native symbol of their own", source=self.name, symbols=new[:20])
        self._unmapped = unmapped
        return mapped

    def _derive_native(self, symbol: str) -> str:
        try:
            return self.source.to_native(symbol)
        except ValueError:
            return ""

    def open_symbol(self, symbol: str, native: str, end: TopicEnd | None) -> None:
        """Begins to feed a symbol that this process owns.

        `end` describes the symbol's last updates in the topic. `end` is None if the topic has no update of the symbol.
        """
        self.feed.open(symbol, native, end)

    def update_natives(self) -> None:
        """Tells the runner for which native symbols trades are needed now."""
        self._runner.set_natives(self.feed.natives)

    def check(self) -> None:
        """Does the regular work of the source. Call this method ten times a second."""
        self.feed.check()

    def state(self) -> FeedState:
        tracker, symbols = self.feed.state, self.feed.symbols_by_state()
        if self._unmapped:
            symbols[SymbolState.UNKNOWN.value] = [*symbols.get(SymbolState.UNKNOWN.value, ()), *self._unmapped]
        return FeedState(tracker.state.value, tracker.reason, tracker.since, self.feed.last_message, symbols)


class ConnectedSource(RunningSource):
    """A source that is reached over the network."""

    def __init__(
        self,
        source: Source,
        endpoint: Endpoint,
        rest_url: str,
        publisher: Publisher,
        rng: Random,
        make_backfill: Callable[[Fetch], Backfill] | None = None,
    ) -> None:
        """Builds the parts of the source. Opens no connection.

        `make_backfill` makes a Backfill from a function that sends a request. Without `make_backfill`, no past bars are
        fetched.
        """
        outage = Outage(source.title)
        metrics = SourceMetrics(source.name)
        state = SourceStateTracker(time.time_ns() // 1000)
        feed = SourceFeed(source, publisher, state, outage, metrics)

        def connect(natives: Collection[str]) -> Connection:
            metrics.note_connect()
            return Connection(source, endpoint, natives, feed.handle, lambda: not feed.is_market_open)

        backoff = Backoff(rng, FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS, Jitter.EQUAL)
        super().__init__(source, feed, Supervisor(state, outage, backoff, connect, feed.note_lost))
        self._http = HttpClient(source, rest_url, endpoint.credentials)
        self._missed = MissedTrades(source, self._http, feed, lambda: publisher.has_room, rng)
        self._backfills = Backfills(source.name, make_backfill(self._http.get), rng) if make_backfill else None

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(super().run())
                tasks.create_task(self._missed.run())
                tasks.create_task(self._follow_instruments())
                if self._backfills is not None:
                    tasks.create_task(self._backfills.run())
        finally:
            await self._http.close()

    def open_symbol(self, symbol: str, native: str, end: TopicEnd | None) -> None:
        super().open_symbol(symbol, native, end)
        if self._backfills is not None:
            self._backfills.add(symbol, native)

    def check(self) -> None:
        super().check()
        for native, gap in self.feed.take_gaps():
            self._missed.add(native, gap)
        for symbol, native in self.feed.take_incomplete().items():
            if self._backfills is not None:
                self._backfills.add_later(symbol, native)

    async def _follow_instruments(self) -> None:
        """Fetches the source's list of instruments regularly, to find symbols unknown to the source."""
        request = self.source.history.instruments()
        while request is not None:
            await self.feed.subscribed.wait()
            try:
                self.feed.set_instruments(self.source.history.read_instruments(await self._http.get(request)))
            except (RequestFailed, BadMessage) as error:
                log.info("list of instruments not read", source=self.name, reason=str(error))
            await asyncio.sleep(INSTRUMENTS_SECONDS)
