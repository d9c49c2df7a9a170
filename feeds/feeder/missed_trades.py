"""Fetches missed trades of one source over HTTP, one request after the other."""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random

import msgspec
import structlog

from feeds.feeder.network.http_client import HttpClient, RequestFailed
from feeds.feeder.source_feed import SourceFeed
from feeds.feeder.trades.gaps import Gap
from feeds.retry import Backoff
from feeds.sources.adapter import BadMessage, Source
from feeds.sources.events import Trade

log = structlog.get_logger(__name__)

MAX_PAGES = 100
"""How many requests are sent for one gap at most. A gap stands for missed trades of one symbol.

Trades that these requests do not return count as lost.
"""

MAX_ATTEMPTS = 8
FULL_PAUSE_SECONDS = 0.2
MAX_RETRY_SECONDS = 30.0


class Wanted(msgspec.Struct):
    """Missed trades of one symbol that must be fetched. `attempts` counts the failed attempts."""

    native: str
    gap: Gap
    attempts: int = 0


class MissedTrades:
    """Fetches the missed trades of one source, one gap after the other.

    A gap stands for missed trades of one symbol. `has_room` returns whether the publisher can take more trades.
    """

    def __init__(
        self, source: Source, client: HttpClient, feed: SourceFeed, has_room: Callable[[], bool], rng: Random
    ) -> None:
        self._source = source
        self._client = client
        self._feed = feed
        self._has_room = has_room
        self._backoff = Backoff(rng, initial=0.5, maximum=MAX_RETRY_SECONDS)
        self._queue: deque[Wanted] = deque()
        self._has_work = asyncio.Event()

    @property
    def waiting(self) -> int:
        """The number of gaps whose trades are not fetched yet."""
        return len(self._queue)

    def add(self, native: str, gap: Gap) -> None:
        self._queue.append(Wanted(native, gap))
        self._has_work.set()

    async def run(self) -> None:
        """Fetches the trades of the queued gaps until this task is cancelled.

        Pauses while the publisher has no room for more trades.
        """
        while True:
            while not self._queue:
                self._has_work.clear()
                await self._has_work.wait()
            if self._has_room():
                await self._fetch_first()
            else:
                await asyncio.sleep(FULL_PAUSE_SECONDS)

    async def _fetch_first(self) -> None:
        wanted = self._queue[0]
        try:
            trades, rest = await self._fetch(wanted.native, wanted.gap)
        except (RequestFailed, BadMessage) as error:
            await self._retry(error)
        else:
            self._queue.popleft()
            self._backoff.reset()
            self._feed.fill(wanted.native, wanted.gap, trades)
            if rest is not None:
                self._feed.give_up(wanted.native, rest)

    async def _retry(self, error: RequestFailed | BadMessage) -> None:
        """Moves the first gap of the queue to the end of the queue after a failed fetch, and pauses.

        After MAX_ATTEMPTS failures, the trades of the gap count as lost. If no retry can help, the trades
        count as lost at once.
        """
        wanted = self._queue.popleft()
        wanted.attempts += 1
        if wanted.attempts < MAX_ATTEMPTS and not (isinstance(error, RequestFailed) and error.is_permanent):
            self._queue.append(wanted)
            await asyncio.sleep(max(self._backoff(), error.wait if isinstance(error, RequestFailed) else 0.0))
            return
        log.warning(
            "missed trades cannot be fetched", source=self._source.name, symbol=wanted.native, reason=str(error)
        )
        self._feed.give_up(wanted.native, wanted.gap)

    async def _fetch(self, native: str, gap: Gap) -> tuple[list[Trade], Gap | None]:
        """Fetches the trades of a gap, with at most MAX_PAGES requests. Raises RequestFailed and BadMessage.

        Returns the trades and the rest of the gap. The rest is None if all trades were fetched.
        """
        history = self._source.history
        request = history.trades(native, gap.after, gap.until)
        trades: list[Trade] = []
        for _ in range(MAX_PAGES):
            if request is None:
                break
            body = await self._client.get(request)
            page, request = history.read_trades(native, request, body, gap.after, gap.until)
            trades += page
        trades.sort(key=lambda trade: (trade.sequence or 0, trade.timestamp))
        return trades, None if request is None else Gap(trades[-1] if trades else gap.after, gap.until)
