"""Candles of a chart, and fewer of them. Pure."""

from collections.abc import Iterable

import msgspec

MOST_POINTS = 1_500
"""Of a chart: more than there are pixels, and no question costs more."""

STEPS = (1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 720, 1440)
"""Minutes that a candle may have."""


class Candle(msgspec.Struct, frozen=True, gc=False):
    """Prices of a stretch of time that began at `start`, in unix seconds; `count` updates made it."""

    start: int
    open: float
    high: float
    low: float
    close: float
    count: int


def choose_step(minutes: int) -> int:
    """The shortest candle, in minutes, that shows so many minutes with at most 1,500 of them."""
    for step in STEPS:
        if minutes // step + 2 <= MOST_POINTS:  # one is cut at either end
            return step
    return -(-minutes // (MOST_POINTS - 2) // STEPS[-1]) * STEPS[-1]


def join_candles(candles: Iterable[Candle], step: int) -> list[Candle]:
    """Candles of `step` seconds, on its multiples since 1970, out of shorter ones in the order of their times."""
    joined: list[Candle] = []
    for candle in candles:
        start = candle.start // step * step
        if joined and joined[-1].start == start:
            last = joined[-1]
            joined[-1] = Candle(
                start,
                last.open,
                max(last.high, candle.high),
                min(last.low, candle.low),
                candle.close,
                last.count + candle.count,
            )
        elif candle.start == start:
            joined.append(candle)
        else:
            joined.append(Candle(start, candle.open, candle.high, candle.low, candle.close, candle.count))
    return joined
