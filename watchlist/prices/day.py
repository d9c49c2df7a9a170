"""Defines what a page shows of a symbol's market day. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

SPARKLINE_POINTS = 60
"""The most points of a sparkline (a small line chart). Each minute of the last hour has at most one point."""


@dataclass(frozen=True, slots=True)
class Day:
    """The prices of a symbol's newest market day, except the last price.

    An unknown price is None. `minute_closes` holds the close of each minute in the last hour, oldest first.
    `minute_closes` has at most SPARKLINE_POINTS prices.
    """

    open: float | None = None
    high: float | None = None
    low: float | None = None
    previous_close: float | None = None
    minute_closes: Sequence[float] = ()


NO_DAY = Day()
"""The market day of a symbol if all prices of the day are unknown."""
