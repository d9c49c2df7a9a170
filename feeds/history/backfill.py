"""Fetches the bars that a source has of a ticker: days of a year and minutes of a week.

Bars are fetched in ranges, and the end of each complete range is noted. A backfill that was interrupted begins at the
first range that is not complete. A later backfill of the same ticker fetches only what is newer, and so fills the time
in which nothing was recorded. `feeds.history.past_bars` says when a fetched bar replaces a recorded one.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from asgiref.sync import sync_to_async

from feeds.history.market_days import MarketDays
from feeds.history.pages import Fetch, fetch_pages
from feeds.history.past_bars import (
    MINUTE_SECONDS,
    complete_past,
    find_tape,
    note_fetched,
    save_days,
    save_minutes,
)
from feeds.models import Origin, Tape
from feeds.sources.adapter import Source
from feeds.sources.events import Bar

SECOND_US = 1_000_000
DAY_SECONDS = 86_400
DAY_US = DAY_SECONDS * SECOND_US

DAY_COUNT = 365
MINUTES_OF_DAYS = 7
"""For how many days minutes are fetched. The days before have bars of days only."""

RANGE_US = {MINUTE_SECONDS: DAY_US, DAY_SECONDS: 300 * DAY_US}
"""The length of a range for each length of a bar, in seconds. No source needs many responses for a range."""


class FetchedBars(NamedTuple):
    """How many bars a backfill has fetched."""

    days: int
    minutes: int


class Backfill:
    """Fetches bars of one source.

    `fetch` sends a request and returns the body of the response; it keeps to the source's limits. `now` returns unix
    microseconds.
    """

    def __init__(
        self,
        source: Source,
        fetch: Fetch,
        market_days: MarketDays,
        now: Callable[[], int],
    ) -> None:
        self._source = source
        self._fetch = fetch
        self._market_days = market_days
        self._now = now

    async def run(self, symbol: str, native: str, days: int = DAY_COUNT, again: bool = False) -> FetchedBars:
        """Fetches the closed bars of the last `days` days, as far as they are not fetched yet.

        If `again` is true, also fetches what was fetched before. Raises BarArchiveUnavailable, BadMessage, and the
        errors of `fetch`. A further call then continues.
        """
        tape = await sync_to_async(find_tape)(symbol, self._source.name)
        day_start, minute_start = tape.days_fetched_to or 0, tape.minutes_fetched_to or 0
        if again:
            day_start = minute_start = 0
        fetched = FetchedBars(
            await self._fetch_bars(tape, native, DAY_SECONDS, days, day_start),
            await self._fetch_bars(tape, native, MINUTE_SECONDS, min(days, MINUTES_OF_DAYS), minute_start),
        )
        if any(fetched) or not tape.has_past:
            await sync_to_async(complete_past)(tape.pk)
        return fetched

    async def _fetch_bars(self, tape: Tape, native: str, interval: int, days: int, fetched_to: int) -> int:
        """Fetches bars of `interval` seconds of the last `days` days, from `fetched_to` on. Returns their number."""
        now = self._now()
        end = now // (interval * SECOND_US) * interval * SECOND_US
        start = max((now - days * DAY_US) // DAY_US * DAY_US, fetched_to)
        count = 0
        # A market day may begin at another time than a UTC day. It may lie across the end of a range, so that ranges
        # overlap by a day.
        overlap = 0 if interval == MINUTE_SECONDS else DAY_US
        for range_start, range_end in _split(start, end, RANGE_US[interval]):
            count += await self._fetch_range(tape, native, interval, range_start - overlap, range_end)
            await sync_to_async(note_fetched)(tape.pk, interval, range_end)
        return count

    async def _fetch_range(self, tape: Tape, native: str, interval: int, start: int, end: int) -> int:
        count = 0
        async for bars in fetch_pages(self._source.history, self._fetch, native, interval, start, end):
            await sync_to_async(self._save)(tape, interval, bars)
            count += len(bars)
        return count

    def _save(self, tape: Tape, interval: int, bars: Sequence[Bar]) -> None:
        if interval == MINUTE_SECONDS:
            save_minutes(tape.pk, bars, Origin.FETCHED)
        else:
            save_days(tape.pk, {self._market_days.day_at(bar.start): bar for bar in bars}, Origin.FETCHED)


def _split(start: int, end: int, length: int) -> Iterator[tuple[int, int]]:
    """Splits a range of times into ranges of at most this length, oldest first."""
    while start < end:
        yield start, min(start + length, end)
        start += length
