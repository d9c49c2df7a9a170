"""Finds the prices of earlier days and of the running day, for alerts on new highs and lows. Pure."""

from collections.abc import Callable

from watchlist.alert_kinds import Kind
from watchlist.alerts.conditions import EXTREME_KINDS
from watchlist.alerts.kinds.extremes import NO_PRICES, PAST_DAYS, UNKNOWN
from watchlist.alerts.records import Progress
from watchlist.alerts.watch import Watch
from watchlist.prices.day import PriceRange

FindRange = Callable[[str, str, int, int], PriceRange | None]
"""Looks up the lowest and the highest price of a symbol and source, from one market day to another."""


class RangeFinder:
    """Looks up ranges of prices. `find_range` may raise an error; the call then has no effect."""

    def __init__(self, find_range: FindRange) -> None:
        self._find_range = find_range

    def find(self, watch: Watch, source: str, day: int) -> tuple[PriceRange, PriceRange]:
        """Returns two ranges of a symbol: of the market day that begins, and of the days before.

        The day has no prices yet, unless the evaluation begins in the middle of the day.
        """
        follows = source == watch.source
        prices = None if follows else self._find_range(watch.symbol, source, day, day)
        past = self._find_past(watch.symbol, source, day) if watch.extremes.is_past_wanted else UNKNOWN
        if follows and past is not UNKNOWN and watch.day >= day - PAST_DAYS:
            past = past.join(watch.extremes.day)  # the last bar of that day may not be saved yet
        return prices or NO_PRICES, past

    def prepare(self, watch: Watch, kind: Kind) -> None:
        """Looks up what an alert of this kind needs."""
        extremes, is_yearly = watch.extremes, kind in (Kind.YEAR_HIGH, Kind.YEAR_LOW)
        if is_yearly and not extremes.is_past_wanted:
            if watch.timestamp and extremes.past is UNKNOWN:
                extremes.past = self._find_past(watch.symbol, watch.source, watch.day)
            extremes.is_past_wanted = True
        extremes.has_alerts |= kind in EXTREME_KINDS

    def restore(self, watch: Watch, progress: Progress) -> tuple[PriceRange, PriceRange]:
        """Returns the ranges in `progress`. Looks up a range that `progress` lacks."""
        symbol, source, day = progress.symbol, progress.source, progress.day
        prices, past = (
            make_range(progress.day_high, progress.day_low),
            make_range(progress.past_high, progress.past_low),
        )
        if prices is None:
            found = self._find_range(symbol, source, day, day) or NO_PRICES
            prices = found.include(progress.price)
        if past is None:
            past = self._find_past(symbol, source, day) if watch.extremes.is_past_wanted else UNKNOWN
        return prices, past

    def _find_past(self, symbol: str, source: str, day: int) -> PriceRange:
        return self._find_range(symbol, source, day - PAST_DAYS, day - 1) or NO_PRICES


def make_range(high: float | None, low: float | None) -> PriceRange | None:
    """Returns a range; None if it has no prices."""
    return None if high is None or low is None else PriceRange(low, high)
