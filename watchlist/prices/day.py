"""Defines what a page shows of a symbol's market day. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

SPARKLINE_POINTS = 60
"""The most points of a sparkline, a small line chart: one point for each minute of the last hour."""


@dataclass(frozen=True, slots=True)
class Day:
    """The newest market day of a symbol, without its last price.

    None stands for an unknown price. `minute_closes` are the closing prices of the last hour's minutes, oldest first,
    at most SPARKLINE_POINTS.
    """

    open: float | None = None
    high: float | None = None
    low: float | None = None
    previous_close: float | None = None
    minute_closes: Sequence[float] = ()


NO_DAY = Day()
"""The day of a symbol whose prices of the day are unknown."""
