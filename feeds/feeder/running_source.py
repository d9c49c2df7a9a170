"""Builds the parts of one source and runs them: connections, the feed of its symbols, and missed trades."""

import asyncio
import time
from collections.abc import Collection
from random import Random
from typing import Protocol

import structlog

from feeds.feeder.missed_trades import MissedTrades
from feeds.feeder.network.connection import Connection, Endpoint
from feeds.feeder.network.http_client import HttpClient, RequestFailed
from feeds.feeder.network.source_state import SourceStateTracker
from feeds.feeder.network.supervisor import Supervisor
from feeds.feeder.publisher import Publisher
from feeds.feeder.source_feed import SourceFeed
from feeds.feeder.source_metrics import SourceMetrics
from feeds.retry import Backoff, Jitter, Outage
from feeds.sources.adapter import BadMessage, Source
from feeds.store.feed_state import FeedState

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0
INSTRUMENTS_SECONDS = 600.0
"""How often the list of the source's instruments is fetched."""


class Runner(Protocol):
    """What provides the trades of a source: connections, or a file."""

    def set_natives(self, natives: Collection[str]) -> None: ...
    async def run(self) -> None: ...


class RunningSource:
    """One source with its parts."""

    def __init__(self, source: Source, feed: SourceFeed, runner: Runner) -> None:
        self.source = source
        self.feed = feed
        self._runner = runner

    @property
    def name(self) -> str:
        return self.source.name

    async def run(self) -> None:
        """Runs until it is cancelled."""
        await self._runner.run()

    def native_of(self, symbol: str, native: str) -> str | None:
        """Returns the native symbol of a ticker, or None if the source cannot have it."""
        try:
            return native or self.source.to_native(symbol)
        except ValueError:
            return None

    def update_natives(self) -> None:
        """Tells the runner which symbols the feed has now."""
        self._runner.set_natives(self.feed.natives)

    def check(self) -> None:
        """Does what depends on time. Call it ten times a second."""
        self.feed.check()

    def state(self) -> FeedState:
        tracker = self.feed.state
        return FeedState(
            tracker.state.value, tracker.reason, tracker.since, self.feed.last_message, self.feed.symbols_by_state()
        )


class ConnectedSource(RunningSource):
    """A source that is reached over the network."""

    def __init__(
        self,
        source: Source,
        endpoint: Endpoint,
        rest_url: str,
        publisher: Publisher,
        rng: Random,
    ) -> None:
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

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(super().run())
                tasks.create_task(self._missed.run())
                tasks.create_task(self._follow_instruments())
        finally:
            await self._http.close()

    def check(self) -> None:
        super().check()
        for native, gap in self.feed.take_gaps():
            self._missed.add(native, gap)

    async def _follow_instruments(self) -> None:
        """Fetches the list of instruments, so that symbols which the source does not know are reported."""
        request = self.source.history.instruments()
        while request is not None:
            await self.feed.subscribed.wait()
            try:
                self.feed.set_instruments(self.source.history.read_instruments(await self._http.get(request)))
            except (RequestFailed, BadMessage) as error:
                log.info("list of instruments not read", source=self.name, reason=str(error))
            await asyncio.sleep(INSTRUMENTS_SECONDS)
