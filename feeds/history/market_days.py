"""Decides to which market day of a source a moment belongs. Pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from feeds.source_names import MARKET_ZONES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class MarketDays:
    """The calendar of market days.

    A market day begins at the time `start` in the time zone `zone`, and ends when the next market day begins. The day
    is named after the date on which it begins. If the clocks change, a market day has 23 or 25 hours.
    """

    def __init__(self, zone: tzinfo, start: time) -> None:
        self._zone = zone
        self._start = start
        self._day = self._begins_at = self._ends_at = 0

    def day_at(self, timestamp: int) -> int:
        """Returns the market day at `timestamp`, as an ordinal (`date.toordinal`).

        `timestamp` is in unix microseconds.
        """
        if not self._begins_at <= timestamp < self._ends_at:  # successive updates nearly always share a day
            day = (EPOCH + timestamp * MICROSECOND).astimezone(self._zone).date().toordinal()
            while timestamp < self.begin(day):  # twice if the zone skipped a date
                day -= 1
            self._day, self._begins_at, self._ends_at = day, self.begin(day), self.begin(day + 1)
        return self._day

    def begin(self, day: int) -> int:
        """Returns when a market day begins, in unix microseconds. `day` is an ordinal."""
        # If the clocks skip over `start`, the UTC offset before the change applies.
        begins = datetime.combine(date.fromordinal(day), self._start, tzinfo=self._zone)
        return (begins.astimezone(UTC) - EPOCH) // MICROSECOND


class SourceDays:
    """The calendars of all sources. `default` applies to each source that is not in `by_source`."""

    def __init__(self, default: MarketDays, by_source: Mapping[str, MarketDays] = MappingProxyType({})) -> None:
        self._default = default
        self._by_source = by_source

    def of(self, source: str) -> MarketDays:
        """Returns the calendar of market days of a source."""
        return self._by_source.get(source, self._default)


def make_source_days(zone: tzinfo, start: time) -> SourceDays:
    """Returns the calendars of all sources. `zone` and `start` apply to each source whose time zone is not known."""
    by_source = {}
    for source, name in MARKET_ZONES.items():
        try:
            by_source[source] = MarketDays(UTC if name == "UTC" else ZoneInfo(name), time(0))
        except ZoneInfoNotFoundError:
            continue
    return SourceDays(MarketDays(zone, start), by_source)
