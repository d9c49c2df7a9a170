"""Finds the updates whose price is a new high or low of the market day or of 52 weeks. Pure.

An update is a new high of the day if its price is above all prices of its market day that arrived before. The first
price of a day is no new high of the day. An update is a new 52-week high if its price is also above all prices of the
364 days before. Lows are alike. The order of arrival counts, so a late update can be a new high.
"""

from collections.abc import Iterator, Mapping
from math import inf

from feeds.wire import Update
from watchlist.alerts.ladder import Ladder
from watchlist.alerts.records import Order
from watchlist.alerts.slot_table import DAY_HIGH, DAY_LOW, YEAR_HIGH, YEAR_LOW
from watchlist.prices.day import PriceRange

PAST_DAYS = 52 * 7
"""How many days before the market day count for 52-week highs and lows."""

NOTHING: Mapping[int, float] = {}
NO_PRICES = PriceRange(inf, -inf)
"""The range before the first price."""

UNKNOWN = PriceRange(-inf, inf)
"""An infinite range, so that no price is a new low or high."""


class Extremes:
    """The lowest and highest prices of one symbol, and the alerts on new lows and highs.

    `day_low` and `day_high` are the lowest and the highest price of the market day; infinite before its first price.
    `past` is the range of the PAST_DAYS days before, UNKNOWN until an alert needs it. `has_alerts` says that
    there were alerts on new highs or lows, and `is_past_wanted` that one of them needed `past`.

    `beaten` is a dict from condition to price, about the update of the last call of `add` or `recall`. For example,
    {DAY_HIGH: 150.0} says that the update is a new high of the day, and that the high before was 150.

    `ladders` is a dict from condition to its alerts, sorted by the time before which an alert must not fire again.
    """

    __slots__ = ("_kept", "beaten", "day_high", "day_low", "has_alerts", "is_past_wanted", "ladders", "past")

    def __init__(self) -> None:
        self.day_low, self.day_high = inf, -inf
        self.past = UNKNOWN
        self.has_alerts = self.is_past_wanted = False
        self.beaten: Mapping[int, float] = NOTHING
        self.ladders: dict[int, Ladder] = {}
        self._kept: dict[Order, tuple[float, float]] = {}
        """For each kept update that changed the low or the high of the day: both values before the update."""

    @property
    def day(self) -> PriceRange:
        """The range of all prices of the market day."""
        return PriceRange(self.day_low, self.day_high)

    def ladder(self, condition: int) -> Ladder:
        """Returns the alerts with this condition."""
        if condition not in self.ladders:
            self.ladders[condition] = Ladder(rising=True)
        return self.ladders[condition]

    def widen(self, price: float, order: Order) -> None:
        """Extends the day's range to `price`, which must be outside of the range."""
        self._kept[order] = self.day_low, self.day_high
        if price > self.day_high:
            self.day_high = price
        if price < self.day_low:
            self.day_low = price

    def add(self, update: Update) -> bool:
        """Adds the price of an update to the day's range. Returns whether this changes the range. Sets `beaten`."""
        price = update.price
        self.beaten = NOTHING
        if self.day_low <= price <= self.day_high:
            return False
        if self.has_alerts:
            self.beaten = self._find_beaten(self.day_low, self.day_high, price)
        self.widen(price, update.order)
        return True

    def recall(self, update: Update) -> None:
        """Sets `beaten` for an update that was added before and is still kept."""
        day = self._kept.get(update.order)
        self.beaten = NOTHING if day is None else self._find_beaten(*day, update.price)

    def _find_beaten(self, day_low: float, day_high: float, price: float) -> Mapping[int, float]:
        low, high = min(day_low, self.past.low), max(day_high, self.past.high)
        beaten = {}
        if -inf < day_high < price:
            beaten[DAY_HIGH] = day_high
        if -inf < high < price:
            beaten[YEAR_HIGH] = high
        if price < day_low < inf:
            beaten[DAY_LOW] = day_low
        if price < low < inf:
            beaten[YEAR_LOW] = low
        return beaten

    def reached(self, timestamp: int) -> Iterator[int]:
        """Yields the slots of the alerts whose condition is in `beaten`, unless they are silent at `timestamp`."""
        for condition in self.beaten:
            if condition in self.ladders:
                yield from self.ladders[condition].reached(timestamp)

    def begin_day(self, day: PriceRange, past: PriceRange) -> None:
        """Begins a market day. `day` is the known price range of this day, `past` that of the days before."""
        self.day_low, self.day_high, self.past = day.low, day.high, past

    def forget(self, oldest: int) -> None:
        """Drops the kept ranges that belong to updates before the time `oldest`."""
        # The order of arrival is nearly the order of time. An entry that stays a while longer does no harm.
        while self._kept and (first := next(iter(self._kept)))[0] < oldest:
            del self._kept[first]

    def restore(self, day: PriceRange, past: PriceRange) -> None:
        """Continues with the ranges that another evaluation has found."""
        self.begin_day(day, past)
        self._kept.clear()
