"""Invents bars for the time before the first price of a simulated instrument.

Pure: no I/O and no clock. The same arguments give the same bars. The logarithm of the price is the sum of two random
walks. The fast walk returns to a mean, as in `feeds.sources.simulated`. The slow walk moves this mean.
"""

from collections.abc import Callable, Iterator
from math import exp, log, sqrt
from random import Random

import msgspec

from feeds.bar_layout import join_prices
from feeds.sources.events import Bar
from feeds.sources.simulated import (
    BASIS_POINT,
    MAX_LOG_PRICE,
    MEAN_AMOUNT,
    Instrument,
    fast_walk,
    min_price,
    size_decimals,
)

MINUTE_COUNT = 7 * 24 * 60
"""The number of minute bars that `SimulatedPast.bars` makes: a week."""

DAY_COUNT = 365

SECOND_US = 1_000_000
MINUTE_SECONDS, DAY_SECONDS = 60, 86_400

PART_SECONDS = 4 * 3_600
"""A day older than the minute bars is made from six bars of this length."""

SLOW_BASIS_POINTS = 120.0
"""The standard deviation of the slow walk in a day, in basis points, for an instrument with the volatility 1."""

MAX_SLOW_DEVIATION = 0.03
"""The greatest standard deviation of the slow walk in a day: 3 percent of the price."""


class SimulatedPast:
    """Makes the bars of an instrument for the time before `end`, which is in unix microseconds.

    `price` is the first known price after `end`. `interval` is the number of seconds between two simulated updates.
    Each call of `minutes` or `bars` makes older bars than the call before.
    """

    def __init__(self, instrument: Instrument, interval: float, seed: str, end: int, price: float) -> None:
        self._instrument = instrument
        self._interval = interval
        self._end = end
        self._random = Random(f"{seed}:{instrument.symbol}:past")  # noqa: S311
        self._slow = log(instrument.base_price)
        self._fast = log(price) - self._slow
        self._price = price
        self._decimals = instrument.decimals
        self._min_price = min_price(instrument.decimals)
        self._size_decimals = size_decimals(instrument.base_price)

    def minutes(self, count: int) -> list[Bar]:
        """Returns `count` minute bars, oldest first. The first call returns the bars before `end`."""
        return list(self._walk(MINUTE_SECONDS, count))[::-1]

    def bars(self, day_at: Callable[[int], int]) -> "PastBars":
        """Returns the minute bars of a week and the day bars of a year.

        `day_at` takes a time in unix microseconds and returns the ordinal of its market day. The day of `end` has no
        day bar.
        """
        last_day = day_at(self._end)
        minutes = self.minutes(MINUTE_COUNT)
        seconds = (DAY_COUNT + 1) * DAY_SECONDS - MINUTE_COUNT * MINUTE_SECONDS
        parts = list(self._walk(PART_SECONDS, seconds // PART_SECONDS))[::-1]
        days: dict[int, Bar] = {}
        for bar in [*parts, *minutes]:
            day = day_at(bar.start)
            if last_day - DAY_COUNT <= day < last_day:
                days[day] = _join(days[day], bar) if day in days else bar
        return PastBars(minutes, days)

    def _walk(self, seconds: int, count: int) -> Iterator[Bar]:
        """Yields `count` bars of `seconds` seconds, newest first."""
        decay, fast_deviation = fast_walk(self._instrument.volatility, seconds)
        # With a fixed mean, the chart of a year would be a flat band.
        slow_deviation = min(self._instrument.volatility * SLOW_BASIS_POINTS * BASIS_POINT, MAX_SLOW_DEVIATION)
        slow_deviation *= sqrt(seconds / DAY_SECONDS)
        variance = 2 * (fast_deviation**2 + slow_deviation**2)
        mean_amount, amount_deviation = self._amounts(seconds)
        gauss, random = self._random.gauss, self._random.random
        for _ in range(count):
            # Backwards from the first known price, so that the chart has no jump there.
            end_log = self._slow + self._fast
            self._fast = self._fast * decay + gauss(0.0, fast_deviation)
            self._slow += gauss(0.0, slow_deviation)
            start_log = self._slow + self._fast
            # High and low are drawn from the distribution of the extreme of a random walk with two known ends.
            middle, square = (start_log + end_log) / 2, (end_log - start_log) ** 2
            up = sqrt(square - variance * log(1.0 - random())) / 2
            down = sqrt(square - variance * log(1.0 - random())) / 2
            open_, close = self._round(start_log), self._price
            high, low = max(self._round(middle + up), open_, close), min(self._round(middle - down), open_, close)
            amount = max(gauss(mean_amount, amount_deviation), 0.0)
            self._price = open_
            self._end -= seconds * SECOND_US
            yield Bar(self._end, open_, high, low, close, round(amount / open_, self._size_decimals))

    def _amounts(self, seconds: int) -> tuple[float, float]:
        """Returns mean and standard deviation of the amount that is traded in `seconds` seconds.

        The amount is price times size, summed over all updates.
        """
        count = max(1.0, seconds / self._interval)
        return count * MEAN_AMOUNT, sqrt(count) * MEAN_AMOUNT

    def _round(self, log_price: float) -> float:
        if not -MAX_LOG_PRICE < log_price < MAX_LOG_PRICE:
            log_price = max(-MAX_LOG_PRICE, min(log_price, MAX_LOG_PRICE))
        return round(exp(log_price), self._decimals) or self._min_price


class PastBars(msgspec.Struct, frozen=True):
    """The invented minute bars and day bars of an instrument.

    `days` is a dict from the ordinal of a market day to its bar.
    """

    minutes: list[Bar]
    days: dict[int, Bar]


def _join(earlier: Bar, later: Bar) -> Bar:
    return Bar(earlier.start, *join_prices(earlier, later), earlier.volume + later.volume)
