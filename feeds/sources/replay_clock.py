"""Decides when each trade of a replay is due, and gives the trade a new time.

Pure: the clock is an argument.
"""

from collections.abc import Iterator, Sequence

import msgspec

from feeds.sources.events import Trade
from feeds.sources.replay import ReplayTrade

GAP_US = 1_000_000
"""The time between two passes through the trades, in microseconds."""

MAX_TAKEN = 1000


def schedule(trades: Sequence[ReplayTrade], speed: float, start: int) -> Iterator[tuple[int, Trade]]:
    """Yields a pair for each trade of a file: the time at which the trade is due, and the trade.

    The first trade is due at `start`, in unix microseconds. After that, `speed` seconds of the file pass in one second.
    Each trade gets a new timestamp and a new id.
    """
    due, first = start, trades[0].time
    for index, trade in enumerate(trades):
        timestamp = start + int((trade.time - first) / speed)
        # A late trade is due together with the trade before it, but gets an older timestamp.
        due = max(due, timestamp)
        # No two passes have the same ids, because ids contain `start`.
        yield due, Trade(trade.symbol, trade.price, trade.size, timestamp, f"{start}:{index}")


class ReplayClock:
    """Tells which trades of a replay are due.

    `trades` must not be empty. If `is_loop` is true, the trades begin again after the last trade. If `speed` is
    infinite, all trades are due immediately.
    """

    def __init__(self, trades: Sequence[ReplayTrade], speed: float, start: int, is_loop: bool = False) -> None:
        self._trades = trades
        self._speed = speed
        self._is_loop = is_loop
        self._newest = 0
        self._rest = schedule(trades, speed, start)
        self._next: tuple[int, Trade] | None = next(self._rest)

    @property
    def next_due(self) -> int | None:
        """The time at which the next trade is due, in unix microseconds, or None at the end."""
        return self._next[0] if self._next else None

    def take(self, now: int, limit: int = MAX_TAKEN) -> list[Trade]:
        """Returns at most `limit` trades that are due. `now` is in unix microseconds."""
        taken: list[Trade] = []
        while self._next is not None and self._next[0] <= now and len(taken) < limit:
            due, trade = self._next
            taken.append(self._stamp(trade, now))
            self._next = next(self._rest, None) or self._begin_again(max(due + GAP_US, now))
        return taken

    def _stamp(self, trade: Trade, now: int) -> Trade:
        if self._speed < float("inf"):
            return trade
        # At infinite speed, a trade gets the time `now`.
        self._newest = max(self._newest, now)
        return msgspec.structs.replace(trade, timestamp=self._newest)

    def _begin_again(self, start: int) -> tuple[int, Trade] | None:
        if not self._is_loop:
            return None
        self._rest = schedule(self._trades, self._speed, start)
        return next(self._rest)
