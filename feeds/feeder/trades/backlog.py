"""Holds trades that wait for Kafka, within a limit of memory. Pure.

If too many trades wait, `Backlog.reduce` removes all but the newest trade of each symbol.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from feeds.sources.events import Trade

Accepted = tuple[Trade, bool]
"""A trade to publish, and whether the trade is late.

A trade is late if a newer trade of its symbol was published before.
"""

MAX_BYTES = 64 * 1024 * 1024
TRADE_BYTES = 400
"""How many bytes one waiting trade needs, rounded up."""


class Backlog:
    """The trades that wait to be sent, by symbol. `max_trades` is how many trades may wait."""

    def __init__(self, max_trades: int = MAX_BYTES // TRADE_BYTES) -> None:
        self._max_trades = max_trades
        self._waiting: dict[str, deque[Accepted]] = {}
        self._first: dict[str, Accepted] = {}
        """The trades that `take` returns before all other trades, by symbol."""

        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def is_full(self) -> bool:
        """Whether more than `max_trades` trades wait. The caller must then call `reduce`."""
        return self._size > self._max_trades

    @property
    def is_low(self) -> bool:
        """Whether at most a quarter of `max_trades` trades wait. Missed trades may then be fetched."""
        return self._size <= self._max_trades // 4

    def add(self, symbol: str, trades: Iterable[Accepted]) -> None:
        waiting = self._waiting.get(symbol)
        if waiting is None:
            waiting = self._waiting[symbol] = deque()
        before = len(waiting)
        waiting.extend(trades)
        self._size += len(waiting) - before

    def take(self, limit: int) -> list[tuple[str, Sequence[Accepted]]]:
        """Removes and returns up to `limit` trades, by symbol."""
        taken: list[tuple[str, Sequence[Accepted]]] = self._take_first(limit) if self._first else []
        limit -= len(taken)
        while limit > 0 and self._waiting:
            symbol = next(iter(self._waiting))
            waiting = self._waiting.pop(symbol)
            if len(waiting) > limit:
                trades: Sequence[Accepted] = [waiting.popleft() for _ in range(limit)]
                # The rest goes behind the trades of the other symbols.
                self._waiting[symbol] = waiting
            else:
                trades = waiting
            taken.append((symbol, trades))
            limit -= len(trades)
            self._size -= len(trades)
        return taken

    def put_newest_first(self) -> None:
        """Makes `take` return the newest trade of each symbol first, and all other trades as late trades.

        Call this method after a stall of Kafka.
        """
        self._put_back()
        for symbol, waiting in list(self._waiting.items()):
            newest = newest_index(waiting)
            self._first[symbol] = waiting[newest]
            del waiting[newest]
            if waiting:
                self._waiting[symbol] = deque((trade, True) for trade, _ in waiting)
            else:
                del self._waiting[symbol]

    def drop(self, symbol: str) -> int:
        """Removes the trades of a symbol. Returns how many trades were removed."""
        dropped = len(self._waiting.pop(symbol, ())) + (self._first.pop(symbol, None) is not None)
        self._size -= dropped
        return dropped

    def reduce(self, summed: Iterable[str]) -> dict[str, list[Trade]]:
        """Removes all trades except the newest of each symbol. Returns the removed trades by symbol.

        For a symbol in `summed`, the remaining trade gets the sum of all sizes.
        """
        self._put_back()
        symbols = set(summed)
        removed: dict[str, list[Trade]] = {}
        for symbol, waiting in self._waiting.items():
            newest = newest_index(waiting)
            others = [trade for number, (trade, _) in enumerate(waiting) if number != newest]
            if not others:
                continue
            kept, late = waiting[newest]
            if symbol in symbols:
                kept = with_size(kept, kept.size + sum(trade.size for trade in others))
            removed[symbol] = others
            self._waiting[symbol] = deque([(kept, late)])
        self._size = len(self._waiting)
        return removed

    def _take_first(self, limit: int) -> list[tuple[str, Sequence[Accepted]]]:
        taken: list[tuple[str, Sequence[Accepted]]] = []
        while self._first and len(taken) < limit:
            symbol = next(iter(self._first))
            taken.append((symbol, (self._first.pop(symbol),)))
        self._size -= len(taken)
        return taken

    def _put_back(self) -> None:
        """Moves the trades of `_first` back to the front of the other trades of their symbols."""
        for symbol, trade in self._first.items():
            self._waiting.setdefault(symbol, deque()).appendleft(trade)
        self._first.clear()


def newest_index(waiting: Sequence[Accepted]) -> int:
    """Returns the position of the last trade that is not late, or of the last trade if all are late."""
    last = len(waiting) - 1
    for behind, (_, late) in enumerate(reversed(waiting)):
        if not late:
            return last - behind
    return last


def with_size(trade: Trade, size: float) -> Trade:
    return Trade(
        trade.native, trade.price, size, trade.timestamp, trade.id, trade.sequence, trade.past, trade.sets_price
    )
