"""Defines the ranges and intervals of `/v8/finance/chart`, and joins candles into these intervals. Pure.

The names are those that dashboards send to Yahoo Finance: a range such as `1mo` is how far back a chart goes, and an
interval such as `1d` is the length of one candle.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from watchlist.errors import WatchlistError
from watchlist.prices.candles import Candle, join_by_start

MAX_POINTS = 4_000
"""The most candles of one answer."""

YEAR_TO_DATE, ALL = "ytd", "max"
RANGE_DAYS = {
    "1d": 1,
    "5d": 5,
    "1mo": 30,
    "3mo": 91,
    "6mo": 182,
    "1y": 365,
    "2y": 730,
    "5y": 1826,
    "10y": 3652,
}
RANGES = (*RANGE_DAYS, YEAR_TO_DATE, ALL)
MINUTES = {"1m": 1, "2m": 2, "5m": 5, "15m": 15, "30m": 30, "60m": 60, "90m": 90, "1h": 60}
"""Maps the names of intervals below a day to minutes."""
MONTHS = {"1mo": 1, "3mo": 3}
INTERVALS = (*MINUTES, "1d", "1wk", *MONTHS)
DEFAULT_RANGE = "1d"
DEFAULT_INTERVALS = {"1d": "1m", "5d": "15m"}
"""Maps a range to its default interval. The default interval of other ranges is `1d`."""

DAY_SECONDS, WEEK_SECONDS = 86_400, 7 * 86_400
FIRST_MONDAY = 4 * DAY_SECONDS
"""The first Monday after 1970 began, in unix seconds."""
FIRST_RECORDED = datetime(1970, 1, 1, tzinfo=UTC)


class BadChart(WatchlistError):
    """A range or an interval is unknown, or both together have too many candles."""


@dataclass(frozen=True, slots=True)
class ChartSteps:
    """A valid range and interval."""

    range: str
    interval: str

    @property
    def minutes(self) -> int | None:
        """The length of a candle in minutes; None if it is a day or longer."""
        return MINUTES.get(self.interval)

    def find_first(self, now: datetime) -> datetime:
        """Returns when the range begins."""
        if self.range == ALL:
            return FIRST_RECORDED
        if self.range == YEAR_TO_DATE:
            return datetime(now.year, 1, 1, tzinfo=UTC)
        return now - timedelta(days=RANGE_DAYS[self.range])

    def join_days(self, days: Iterable[Candle]) -> list[Candle]:
        """Joins one-day candles into candles of the interval: at most the newest MAX_POINTS. Weeks begin on Monday."""
        if self.interval == "1d":
            return list(days)[-MAX_POINTS:]
        return join_by_start(days, self._find_start)[-MAX_POINTS:]

    def _find_start(self, start: int) -> int:
        if self.interval == "1wk":
            return (start - FIRST_MONDAY) // WEEK_SECONDS * WEEK_SECONDS + FIRST_MONDAY
        day, months = datetime.fromtimestamp(start, UTC), MONTHS[self.interval]
        return int(datetime(day.year, (day.month - 1) // months * months + 1, 1, tzinfo=UTC).timestamp())


def parse_steps(name: str, interval: str, now: datetime) -> ChartSteps:
    """Checks the range `name` and the interval of a chart. An empty text stands for the default. Raises BadChart."""
    name = name or DEFAULT_RANGE
    interval = interval or DEFAULT_INTERVALS.get(name, "1d")
    if name not in RANGES:
        raise BadChart(f"range must be one of {', '.join(RANGES)}")
    if interval not in INTERVALS:
        raise BadChart(f"interval must be one of {', '.join(INTERVALS)}")
    steps = ChartSteps(name, interval)
    if steps.minutes and (now - steps.find_first(now)) > timedelta(minutes=MAX_POINTS * steps.minutes):
        raise BadChart(f"range={name} has more than {MAX_POINTS} candles of interval={interval}: use a longer interval")
    return steps
