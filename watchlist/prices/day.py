"""Defines what a page shows of a symbol's market day. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

SPARKLINE_POINTS = 60
"""The most points of a sparkline, a small line chart: one point for each minute of the last hour."""


@dataclass(frozen=True, slots=True)
class Day:
    """The prices of a symbol's newest market day, without the last price.

    None means that a price is unknown. `minute_closes` are the closing prices of the minutes of the last hour, oldest
    first, at most SPARKLINE_POINTS.
    """

    open: float | None = None
    high: float | None = None
    low: float | None = None
    previous_close: float | None = None
    minute_closes: Sequence[float] = ()


NO_DAY = Day()
"""Stands for the market day of a symbol if all prices of the day are unknown."""
