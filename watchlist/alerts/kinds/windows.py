"""Computes how much a price has changed within a window of time, and holds the alerts on such changes. Pure.

The change is relative to the base: the price of the newest update before the beginning of the window. A window of five
minutes begins five minutes before the beginning of the running bar. So the base stays the same until the next bar
begins. A bar lasts a second if the window is shorter than LONG_SECONDS, and otherwise a minute.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from math import inf, nextafter

from watchlist.alerts.conditions import percent_level
from watchlist.alerts.ladder import Ladder
from watchlist.alerts.records import Close

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
LONG_SECONDS = 600
"""Windows of at least this length use bars of a minute, because Redis holds bars of a second for ten minutes only."""

MAX_DELAY_US = 10 * SECOND_US
"""Windows ignore a late update that is older than the newest update of its symbol by more than this time."""


class Trail:
    """The newest update of each bar of one symbol, for the last `kept_us` microseconds. A bar lasts `bar_us`."""

    __slots__ = ("_kept_us", "_prices", "_seq_ids", "_timestamps", "bar_us")

    def __init__(self, bar_us: int, kept_us: int) -> None:
        self.bar_us = bar_us
        self._kept_us = kept_us + bar_us + MAX_DELAY_US
        self._timestamps, self._seq_ids, self._prices = array("q"), array("q"), array("d")

    def __len__(self) -> int:
        return len(self._prices)

    def add(self, close: Close) -> None:
        """Adds an update. It stays only if it is the newest one of its bar."""
        timestamp, seq_id, price = close
        begin = timestamp // self.bar_us * self.bar_us
        at = bisect_left(self._timestamps, begin)
        if at == len(self) or self._timestamps[at] >= begin + self.bar_us:
            for column in (self._timestamps, self._seq_ids, self._prices):
                column.insert(at, 0)
        elif (self._timestamps[at], self._seq_ids[at]) >= (timestamp, seq_id):
            return
        self._timestamps[at], self._seq_ids[at], self._prices[at] = timestamp, seq_id, price

    def drop_old(self, timestamp: int) -> None:
        """Drops bars that no update from this time on needs.

        One bar before the kept time stays, because its price is valid until the next bar.
        """
        count = bisect_left(self._timestamps, timestamp - self._kept_us) - 1
        if count > 0:
            for column in (self._timestamps, self._seq_ids, self._prices):
                del column[:count]

    def price_before(self, timestamp: int) -> float | None:
        """Returns the price of the newest update before a time that is the beginning of a bar; None if unknown."""
        at = bisect_left(self._timestamps, timestamp)
        return self._prices[at - 1] if at else None

    def clear(self) -> None:
        """Forgets all updates."""
        for column in (self._timestamps, self._seq_ids, self._prices):
            del column[:]


class Window:
    """The alerts on changes of one symbol within one length of time, sorted by percent.

    `rising` and `falling` hold the armed alerts. `below` holds the alerts that a price below their level arms again.
    `above` holds the alerts that a price above their level arms again. `base` is the price with which
    prices of the running bar are compared; None if unknown.
    """

    __slots__ = ("_length_us", "_trail", "above", "base", "below", "falling", "rising")

    def __init__(self, length_us: int, trail: Trail) -> None:
        self._length_us = length_us
        self._trail = trail
        self.base: float | None = None
        self.rising, self.above = Ladder(rising=True), Ladder(rising=True)
        self.falling, self.below = Ladder(rising=False), Ladder(rising=False)

    def ladder(self, side: int, *, is_rise: bool) -> Ladder:
        """Returns the alerts on this side; with Side.NONE those that are not armed."""
        if side:
            return self.rising if is_rise else self.falling
        return self.below if is_rise else self.above

    def base_at(self, timestamp: int) -> float | None:
        """Returns the price with which an update of this time is compared; None if unknown."""
        bar_us = self._trail.bar_us
        return self._trail.price_before(timestamp // bar_us * bar_us - self._length_us)

    def turn(self, timestamp: int) -> None:
        """Sets `base` to the price with which prices of this time are compared: the price before the window."""
        self.base = self.base_at(timestamp)

    def limits(self) -> tuple[float, float]:
        """Returns two prices. No alert changes its state at a price between them."""
        base = self.base
        if base is None:
            return -inf, inf
        low = max(percent_level(base, self.falling.next_level), _below(percent_level(base, self.below.next_level)))
        high = min(percent_level(base, self.rising.next_level), _above(percent_level(base, self.above.next_level)))
        return low, high

    def reached(self, price: float, timestamp: int) -> Iterator[int]:
        """Yields the slots of the alerts whose state a price at this time changes."""
        base = self.base_at(timestamp)
        if base is not None:
            yield from self.rising.reached_if(lambda percent: percent_level(base, percent) <= price)
            yield from self.falling.reached_if(lambda percent: percent_level(base, percent) >= price)
            yield from self.below.reached_if(lambda percent: percent_level(base, percent) > price)
            yield from self.above.reached_if(lambda percent: percent_level(base, percent) < price)


class Windows:
    """The windows of one symbol, by length in minutes."""

    __slots__ = ("_trails", "by_length", "turns_at")

    def __init__(self) -> None:
        self.by_length: dict[int, Window] = {}
        self.turns_at: float = inf
        """The time at which the next bar begins, and with it another base; infinite without windows."""
        self._trails: dict[int, Trail] = {}

    @property
    def ladders(self) -> Iterator[Ladder]:
        """All ladders of all windows."""
        for window in self.by_length.values():
            yield from (window.rising, window.falling, window.below, window.above)

    def is_known(self, minutes: int) -> bool:
        """Returns whether the prices for windows of this length have been added before."""
        return _bar_us(minutes) in self._trails

    def open(self, minutes: int) -> Window:
        """Returns the window of this length."""
        if minutes not in self.by_length:
            bar_us = _bar_us(minutes)
            kept = 24 * 60 * MINUTE_US if bar_us == MINUTE_US else LONG_SECONDS * SECOND_US
            trail = self._trails.setdefault(bar_us, Trail(bar_us, kept))
            self.by_length[minutes] = Window(minutes * MINUTE_US, trail)
        return self.by_length[minutes]

    def add(self, close: Close) -> None:
        """Adds an update. It is enough to add the newest update of each bar."""
        for trail in self._trails.values():
            trail.add(close)

    def turn(self, timestamp: int) -> None:
        """Moves all windows forward to this time: drops older prices, and sets the base of each window."""
        for trail in self._trails.values():
            trail.drop_old(timestamp)
        for window in self.by_length.values():
            window.turn(timestamp)
        bar_us = min(self._trails, default=0)
        self.turns_at = (timestamp // bar_us + 1) * bar_us if bar_us else inf

    def replace(self, closes: Iterable[Close]) -> None:
        """Forgets all prices, for example those of another source. Then adds `closes`."""
        for trail in self._trails.values():
            trail.clear()
        for close in closes:
            self.add(close)

    def limits(self) -> tuple[float, float]:
        """Returns two prices. No alert changes its state at a price between them."""
        low, high = -inf, inf
        for window in self.by_length.values():
            window_low, window_high = window.limits()
            low, high = max(low, window_low), min(high, window_high)
        return low, high

    def reached(self, price: float, timestamp: int) -> Iterator[int]:
        """Yields the slots of the alerts whose state a price at this time changes."""
        for window in self.by_length.values():
            yield from window.reached(price, timestamp)


def _bar_us(minutes: int) -> int:
    return SECOND_US if minutes * 60 < LONG_SECONDS else MINUTE_US


def _below(price: float) -> float:
    return nextafter(price, -inf)


def _above(price: float) -> float:
    return nextafter(price, inf)
