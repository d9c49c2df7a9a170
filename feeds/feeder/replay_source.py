"""Feeds the trades of a file, as if they were live."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from typing import NoReturn

import structlog

from feeds.feeder.network.source_state import SourceStateTracker
from feeds.feeder.publisher import Publisher
from feeds.feeder.running_source import RunningSource
from feeds.feeder.source_feed import SourceFeed
from feeds.feeder.source_metrics import SourceMetrics
from feeds.retry import Outage
from feeds.source_names import REPLAY
from feeds.sources.adapter import Adapter, BadMessage, Credentials, Request, Source
from feeds.sources.events import Bar, Trade
from feeds.sources.replay import Replay
from feeds.sources.replay_clock import ReplayClock
from feeds.symbols import is_symbol

log = structlog.get_logger(__name__)

MAX_PAUSE_SECONDS = 0.1


class NoHistory:
    """The `History` of a source without an HTTP service."""

    def trades(self, _native: str, _after: Trade | None, _until: Trade) -> Request | None:
        return None

    def read_trades(self, *_arguments: object) -> tuple[Sequence[Trade], Request | None]:
        return [], None

    def bars(self, _native: str, _interval: int, _start: int, _end: int) -> NoReturn:
        raise BadMessage("a file has no history")

    def read_bars(self, *_arguments: object) -> tuple[Sequence[Bar], Request | None]:
        return [], None

    def instruments(self) -> Request | None:
        return None

    def read_instruments(self, _body: bytes) -> Mapping[str, bool]:
        return {}


def no_adapter(_credentials: Credentials) -> Adapter:
    raise BadMessage("a file has no connection")


def replay_source(title: str) -> Source:
    """Returns the source whose trades come from a file."""
    return Source(
        name=REPLAY,
        title=title,
        url="",
        rest_url="",
        make_adapter=no_adapter,
        history=NoHistory(),
        to_native=str,
        to_symbol=lambda native: native if is_symbol(native) else None,
        silent_seconds=inf,
        is_sequential=False,
    )


class ReplayRunner:
    """Passes each trade of a file to a feed when the trade is due.

    `has_room` returns whether the publisher can take more trades. `now` returns unix nanoseconds.
    """

    def __init__(
        self,
        replay: Replay,
        speed: float,
        is_loop: bool,
        feed: SourceFeed,
        has_room: Callable[[], bool],
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._replay = replay
        self._speed = speed
        self._is_loop = is_loop
        self._feed = feed
        self._has_room = has_room
        self._now = now
        self._has_symbols = asyncio.Event()

    def set_natives(self, natives: Collection[str]) -> None:
        if natives:
            self._has_symbols.set()

    async def run(self) -> None:
        await self._has_symbols.wait()
        clock = ReplayClock(self._replay.trades, self._speed, self._now() // 1000, self._is_loop)
        self._feed.state.note_subscribed(self._now() // 1000)
        log.info("replay begins", title=self._replay.title, trades=len(self._replay.trades))
        while (due := clock.next_due) is not None:
            now = self._now() // 1000
            if self._has_room() and (trades := clock.take(now)):
                self._feed.handle(trades, now)
            await asyncio.sleep(min(max((due - now) / 1e6, 0.0), MAX_PAUSE_SECONDS))
        log.info("replay ended", title=self._replay.title)


def make_replay(replay: Replay, speed: float, is_loop: bool, publisher: Publisher) -> RunningSource:
    """Returns a running source that takes its trades from a file instead of the network."""
    source = replay_source(replay.title)
    state = SourceStateTracker(time.time_ns() // 1000)
    feed = SourceFeed(source, publisher, state, Outage(source.title), SourceMetrics(source.name))
    return RunningSource(source, feed, ReplayRunner(replay, speed, is_loop, feed, lambda: publisher.has_room))
