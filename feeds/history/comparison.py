"""Compares the recorded minute bars of a symbol with the minute bars of its source. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from feeds.bar_layout import VOLUME_UNIT
from feeds.sources.events import Bar

MINUTE_US = 60_000_000


class RecordedMinute(msgspec.Struct, frozen=True):
    """A minute bar of a symbol in our database.

    `volume` is in VOLUME_UNITs. `is_fetched` says that the bar was fetched and not recorded. `is_incomplete` says that
    the bar was recorded and lacks trades.
    """

    open: float
    high: float
    low: float
    close: float
    count: int
    volume: int
    is_fetched: bool = False
    is_incomplete: bool = False


class Comparison:
    """Counts the differences between recorded minute bars and the source's bars of the same minutes.

    `feeds.store.audit_reports.SymbolAudit` explains each count. `is_counted` says whether all bars of the source have a
    count of trades.
    """

    def __init__(self) -> None:
        self.exact = self.different = self.missing = self.replaced = self.incomplete = 0
        self.lost = self.repeated = self.lost_units = self.repeated_units = 0
        self.is_counted = True

    def add(self, recorded: RecordedMinute | None, bar: Bar) -> None:
        """Adds a minute in which the source has trades.

        `recorded` is None if nothing was recorded. `bar` is the source's bar.
        """
        units = round(bar.volume / VOLUME_UNIT)
        self.is_counted &= bar.count is not None
        if recorded is None:
            self.missing += 1
            self._add_difference(-(bar.count or 0), -units)
        elif recorded.is_fetched:
            self.replaced += 1
        else:
            count = 0 if bar.count is None else recorded.count - bar.count
            # Sums of rounded sizes may differ in the last digits.
            difference = recorded.volume - units
            difference = 0 if abs(difference) <= units // 10**9 + 1 else difference
            prices = recorded.open, recorded.high, recorded.low, recorded.close
            same_prices = prices == (bar.open, bar.high, bar.low, bar.close)
            is_exact = same_prices and count == 0 and difference == 0
            self.exact += is_exact
            self.different += not is_exact
            self._add_difference(count, difference)

    def add_surplus(self, recorded: RecordedMinute) -> None:
        """Adds a recorded minute in which the source has no trades."""
        self._add_difference(recorded.count, recorded.volume)

    def _add_difference(self, count: int, units: int) -> None:
        self.lost += max(-count, 0)
        self.repeated += max(count, 0)
        self.lost_units += max(-units, 0)
        self.repeated_units += max(units, 0)


def compare_minutes(recorded: Mapping[int, RecordedMinute], bars: Sequence[Bar]) -> Comparison:
    """Compares the recorded minutes of a symbol with the minute bars of its source.

    The keys of `recorded` are numbers of minutes since 1970. Recorded minutes before the source's first minute are
    not compared.
    """
    comparison = Comparison()
    comparison.incomplete = sum(minute.is_incomplete for minute in recorded.values())
    by_minute = {bar.start // MINUTE_US: bar for bar in bars}
    for minute, bar in by_minute.items():
        comparison.add(recorded.get(minute), bar)
    # Some sources give only the newest minutes of a day.
    first = min(by_minute, default=0)
    for minute, surplus in recorded.items():
        if by_minute and minute > first and minute not in by_minute and not surplus.is_fetched:
            comparison.add_surplus(surplus)
    return comparison
