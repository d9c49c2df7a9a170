"""Defines the prices of a symbol's market day that a page shows. Pure."""

from collections.abc import Sequence

import msgspec

SPARKLINE_POINTS = 60
"""The maximum number of points of a sparkline (a small line chart): one for each minute of the last hour."""


class PriceRange(msgspec.Struct, frozen=True, gc=False):
    """The lowest and the highest price of a period."""

    low: float
    high: float

    def include(self, price: float) -> "PriceRange":
        """Returns this range, extended to contain `price`."""
        return PriceRange(min(self.low, price), max(self.high, price))

    def join(self, other: "PriceRange | None") -> "PriceRange":
        """Returns this range, extended to contain the range `other`."""
        return self if other is None else self.include(other.low).include(other.high)

    def share(self, price: float) -> float:
        """Returns where `price` is in the range: 0 at the low, 1 at the high, 0.5 if low and high are equal."""
        return (price - self.low) / (self.high - self.low) if self.high > self.low else 0.5


class Day(msgspec.Struct, frozen=True, gc=False):
    """The prices of a symbol's newest market day, except the last price.

    An unknown price is None. `minute_closes` holds the close of each minute in the last hour, oldest first: at most
    SPARKLINE_POINTS prices. `volume` is in VOLUME_UNITs of `feeds.bar_layout`, and 0 if no update had a size.
    """

    open: float | None = None
    high: float | None = None
    low: float | None = None
    previous_close: float | None = None
    minute_closes: Sequence[float] = ()
    volume: int = 0

    @property
    def range(self) -> PriceRange | None:
        """The low and the high of the day; None if the low or the high is unknown."""
        return None if self.low is None or self.high is None else PriceRange(self.low, self.high)


NO_DAY = Day()
"""A market day of which no price is known."""
