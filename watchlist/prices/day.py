"""What is known of a symbol's current day beside the last price. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Day:
    """What is known of the current day beside the last price; `line` are closes of the last hour, oldest first."""

    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    """The previous day's, None before there was one."""
    line: Sequence[float] = ()


NO_DAY = Day()
"""Nothing is known yet."""
