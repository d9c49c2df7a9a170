"""Finds earlier prices for alerts on new highs and lows, and for alerts on changes within a window. Pure."""

from collections.abc import Callable, Sequence

from watchlist.alert_kinds import Kind
from watchlist.alerts.conditions import EXTREME_KINDS
from watchlist.alerts.kinds.extremes import NO_PRICES, PAST_DAYS, UNKNOWN
from watchlist.alerts.records import AlertRecord, Close, Progress
from watchlist.alerts.watch import Watch, close_of
from watchlist.prices.day import PriceRange

FindRange = Callable[[str, str, int, int], PriceRange | None]
"""Looks up the lowest and the highest price of a symbol and source, from one market day to another."""

FindCloses = Callable[[str, str, int], Sequence[Close]]
"""Looks up the newest update of each recorded bar of a symbol and source, for windows that end at a time."""


class PastPrices:
    """Looks up earlier prices. If `find_range` or `find_closes` raises an error, the look-up changes nothing."""

    def __init__(self, find_range: FindRange, find_closes: FindCloses) -> None:
        self._find_range = find_range
        self._find_closes = find_closes

    def find(self, watch: Watch, source: str, day: int) -> tuple[PriceRange, PriceRange]:
        """Returns two price ranges of a symbol: of the market day `day`, and of the PAST_DAYS days before.

        Call this method before the first update of `day` is evaluated. If `source` is new, the evaluation may begin in
        the middle of the day. Then the prices of the day so far are looked up.
        """
        follows = source == watch.source
        prices = None if follows else self._find_range(watch.symbol, source, day, day)
        past = self._find_past(watch.symbol, source, day) if watch.extremes.is_past_wanted else UNKNOWN
        if follows and past is not UNKNOWN and watch.day >= day - PAST_DAYS:
            past = past.join(watch.extremes.day)  # the last bar of that day may not be saved yet
        return prices or NO_PRICES, past

    def closes(self, watch: Watch, source: str, timestamp: int) -> Sequence[Close]:
        """Returns the prices that the windows of a symbol need from this source at this time."""
        return self._find_closes(watch.symbol, source, timestamp) if watch.windows.by_length else ()

    def prepare(self, watch: Watch, record: AlertRecord) -> None:
        """Looks up the earlier prices that an alert needs, if `watch` does not have them yet."""
        if record.kind is Kind.WINDOW_PERCENT:
            self._prepare_window(watch, record.window_seconds // 60)
        elif record.kind in EXTREME_KINDS:
            self._prepare_extremes(watch, record.kind)

    def _prepare_window(self, watch: Watch, minutes: int) -> None:
        is_known = watch.windows.is_known(minutes)
        found = (
            self._find_closes(watch.symbol, watch.source, watch.timestamp) if not is_known and watch.timestamp else ()
        )
        watch.windows.open(minutes)
        watch.turns_at = 0
        # The recorder may be some seconds behind.
        for close in [*found, *(close_of(update) for update in watch.recent)]:
            watch.windows.add(close)

    def _prepare_extremes(self, watch: Watch, kind: Kind) -> None:
        extremes, is_yearly = watch.extremes, kind in (Kind.YEAR_HIGH, Kind.YEAR_LOW)
        if is_yearly and not extremes.is_past_wanted:
            if watch.timestamp and extremes.past is UNKNOWN:
                extremes.past = self._find_past(watch.symbol, watch.source, watch.day)
            extremes.is_past_wanted = True
        extremes.has_alerts = True

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
    """Returns the range from `low` to `high`; None if one of the two prices is None."""
    return None if high is None or low is None else PriceRange(low, high)
