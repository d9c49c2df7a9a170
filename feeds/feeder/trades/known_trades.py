"""Remembers the trades of one symbol, so that repeats are recognised. Pure.

A trade repeats a known trade if id and price are equal and the times are at most a second apart.
"""

from collections.abc import Iterable

from feeds.sources.events import Trade

MAX_KNOWN = 4096
"""How many trades of a symbol are remembered."""

# Some HTTP services round times.
MAX_TIME_DIFFERENCE_US = 1_000_000

Key = str | tuple[int, float, float]


class KnownTrades:
    """The newest trades of one symbol, at most `limit`.

    A trade without an id is recognised by time, price and size.
    """

    __slots__ = ("_limit", "_trades")

    def __init__(self, limit: int = MAX_KNOWN) -> None:
        self._limit = limit
        self._trades: dict[Key, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._trades)

    def add(self, trade: Trade) -> bool:
        """Remembers a trade. Returns True if the trade is new, and False if it is a repeat."""
        trades = self._trades
        key = trade.id or (trade.timestamp, trade.price, trade.size)
        known = trades.get(key)
        if known is not None:
            # Some vendors use an id twice.
            if known[1] == trade.price and abs(known[0] - trade.timestamp) <= MAX_TIME_DIFFERENCE_US:
                return False
            del trades[key]  # the new entry goes to the end, which is forgotten last
        trades[key] = trade.timestamp, trade.price
        if len(trades) > self._limit:
            del trades[next(iter(trades))]
        return True

    def forget(self, trades: Iterable[Trade]) -> None:
        """Removes trades, so that `add` accepts them again."""
        for trade in trades:
            self._trades.pop(trade.id or (trade.timestamp, trade.price, trade.size), None)
