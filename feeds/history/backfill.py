"""Fetches a ticker's past bars: day bars of a year, minute bars of a week.

Bars are fetched in ranges of time. When all bars of a range are saved, the end of the range is stored. The next
backfill of the ticker begins at the stored end, or at an earlier recorded bar that lacks trades.
`feeds.history.past_bars` says when a fetched bar replaces a recorded bar.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from asgiref.sync import sync_to_async

from feeds.history.market_days import MarketDays
from feeds.history.missed_spans import find_incomplete
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
"""For how many days minute bars are fetched. Earlier days get only day bars."""

RANGE_US = {MINUTE_SECONDS: DAY_US, DAY_SECONDS: 300 * DAY_US}
"""A dict from the length of a bar in seconds to the length of a range in microseconds."""


class FetchedBars(NamedTuple):
    """How many day bars and how many minute bars a backfill has fetched."""

    days: int
    minutes: int


class Backfill:
    """Fetches past bars of one source.

    `fetch` sends a request and returns the body of the response. `now` returns unix microseconds.
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
        """Fetches and saves the finished bars of one symbol, for at most the last `days` days.

        Begins where the previous backfill of the symbol ended, or at an earlier bar that lacks trades. If `again` is
        true, begins `days` days ago. Raises BarArchiveUnavailable, BadMessage, and the errors of `fetch`.
        """
        tape = await sync_to_async(find_tape)(symbol, self._source.name)
        day_start, minute_start = tape.days_fetched_to or 0, tape.minutes_fetched_to or 0
        if again:
            day_start = minute_start = 0
        else:
            since = self._now() - MINUTES_OF_DAYS * DAY_US
            incomplete = await sync_to_async(find_incomplete)(tape.pk, since)
            day_start = min(day_start, incomplete.day or day_start)
            minute_start = min(minute_start, incomplete.minute or minute_start)
        fetched = FetchedBars(
            await self._fetch_bars(tape, native, DAY_SECONDS, days, day_start),
            await self._fetch_bars(tape, native, MINUTE_SECONDS, min(days, MINUTES_OF_DAYS), minute_start),
        )
        if any(fetched) or not tape.has_past:
            await sync_to_async(complete_past)(tape.pk)
        return fetched

    def seconds_of_day_left(self) -> float:
        """Returns how many seconds are left of the current market day."""
        now = self._now()
        return (self._market_days.begin(self._market_days.day_at(now) + 1) - now) / SECOND_US

    async def _fetch_bars(self, tape: Tape, native: str, interval: int, days: int, fetched_to: int) -> int:
        """Fetches and saves the bars since `fetched_to`, for at most the last `days` days. Returns the number of bars.

        `interval` is the length of a bar in seconds. `fetched_to` is in unix microseconds.
        """
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
    """Splits the time from `start` to `end` into ranges of at most `length`, oldest first."""
    while start < end:
        yield start, min(start + length, end)
        start += length
