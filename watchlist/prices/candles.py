"""Defines the candles of a chart, and joins short candles into longer candles. Pure.

A candle shows one recorded bar, or several joined bars.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from feeds.bar_layout import join_prices

MAX_CANDLES = 1_500
"""The maximum number of candles in a chart."""

STEP_MINUTES = (1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 720, 1440)
"""The lengths of candles up to a day, in minutes. Longer candles last a whole number of days."""


class Candle(msgspec.Struct, frozen=True, gc=False):
    """The prices of a period that begins at `start` (unix seconds).

    `count` is the number of updates in the period. `volume` is the sum of the sizes of these updates, in
    VOLUME_UNITs of `feeds.bar_layout`.
    """

    start: int
    open: float
    high: float
    low: float
    close: float
    count: int
    volume: int = 0


@dataclass(frozen=True, slots=True)
class CandleSeries:
    """The candles of a chart, at most MAX_CANDLES, oldest first. Each candle lasts `step` seconds.

    A period without a price has no candle.
    """

    step: int
    candles: Sequence[Candle]


def choose_step_minutes(minutes: int) -> int:
    """Returns the length of a candle in minutes, for a chart of `minutes` minutes.

    Chooses the shortest length with which the chart has at most MAX_CANDLES candles.
    """
    for step in STEP_MINUTES:
        if minutes // step + 2 <= MAX_CANDLES:  # the first and the last candle may be partial
            return step
    return -(-minutes // (MAX_CANDLES - 2) // STEP_MINUTES[-1]) * STEP_MINUTES[-1]


def join_candles(candles: Iterable[Candle], step: int) -> list[Candle]:
    """Joins candles into longer candles of `step` seconds. `candles` and the result are sorted, oldest first.

    Each joined candle starts at a multiple of `step` seconds since 1970.
    """
    return join_by_start(candles, lambda start: start // step * step)


def join_by_start(candles: Iterable[Candle], find_start: Callable[[int], int]) -> list[Candle]:
    """Joins candles into longer candles. `candles` and the result are sorted, oldest first.

    `find_start` gets the start of a short candle, and returns the start of its longer candle. Both are unix seconds.
    """
    joined: list[Candle] = []
    for candle in candles:
        start = find_start(candle.start)
        if joined and joined[-1].start == start:
            joined[-1] = _join(joined[-1], candle)
        elif candle.start == start:
            joined.append(candle)
        else:
            joined.append(msgspec.structs.replace(candle, start=start))
    return joined


def _join(earlier: Candle, later: Candle) -> Candle:
    prices = join_prices(earlier, later)
    return Candle(earlier.start, *prices, earlier.count + later.count, earlier.volume + later.volume)
