"""Defines the candles of a chart and joins short ones to longer ones. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

MAX_CANDLES = 1_500
"""Candles of a chart: more than it has pixels, and few enough that no request is expensive."""

STEP_MINUTES = (1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 720, 1440)
"""Lengths that a candle can have; beyond the last, its multiples."""


class Candle(msgspec.Struct, frozen=True, gc=False):
    """Prices of the period that begins at `start`, in unix seconds.

    `count` is the number of its updates.
    """

    start: int
    open: float
    high: float
    low: float
    close: float
    count: int


@dataclass(frozen=True, slots=True)
class CandleSeries:
    """At most MAX_CANDLES candles of `step` seconds each, oldest first.

    Periods without a price have no candle.
    """

    step: int
    candles: Sequence[Candle]


def choose_step_minutes(minutes: int) -> int:
    """The shortest candle, in minutes, with which so many minutes fit in MAX_CANDLES."""
    for step in STEP_MINUTES:
        if minutes // step + 2 <= MAX_CANDLES:  # the first and the last candle may be partial
            return step
    return -(-minutes // (MAX_CANDLES - 2) // STEP_MINUTES[-1]) * STEP_MINUTES[-1]


def join_candles(candles: Iterable[Candle], step: int) -> list[Candle]:
    """Joins candles, given oldest first, to candles of `step` seconds.

    They start at multiples of `step` since 1970.
    """
    joined: list[Candle] = []
    for candle in candles:
        start = candle.start // step * step
        if joined and joined[-1].start == start:
            joined[-1] = _join(joined[-1], candle)
        elif candle.start == start:
            joined.append(candle)
        else:
            joined.append(Candle(start, candle.open, candle.high, candle.low, candle.close, candle.count))
    return joined


def _join(earlier: Candle, later: Candle) -> Candle:
    return Candle(
        earlier.start,
        earlier.open,
        max(earlier.high, later.high),
        min(earlier.low, later.low),
        later.close,
        earlier.count + later.count,
    )
