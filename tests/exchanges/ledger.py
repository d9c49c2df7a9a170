"""The ledger of a fake exchange: all its trades, exact, whatever the exchange sent of them."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

COLUMNS = ("symbol", "sequence", "timestamp", "price", "size")


@dataclass(frozen=True, slots=True)
class LedgerTrade:
    """One trade. `symbol` is ours, such as `BTC/USD`. `timestamp` is in unix microseconds.

    `sequence` is the exchange's number of the trade. It grows by one with each trade of the symbol.
    """

    symbol: str
    sequence: int
    timestamp: int
    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class LedgerBar:
    """The trades of one interval. `start` is in unix microseconds, `volume` the exact sum of sizes."""

    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    count: int


class Ledger:
    """The trades of each symbol in the order in which they happened."""

    def __init__(self, first_sequence: int = 1_000_000) -> None:
        self._first = first_sequence
        self._next: dict[str, int] = {}
        self._trades: dict[str, list[LedgerTrade]] = {}

    @property
    def symbols(self) -> list[str]:
        return list(self._trades)

    @property
    def count(self) -> int:
        """The number of trades of all symbols."""
        return sum(map(len, self._trades.values()))

    def add(self, symbol: str, price: Decimal, size: Decimal, timestamp: int) -> LedgerTrade:
        sequence = self._next.get(symbol, self._first)
        self._next[symbol] = sequence + 1
        trade = LedgerTrade(symbol, sequence, timestamp, price, size)
        self._trades.setdefault(symbol, []).append(trade)
        return trade

    def skip(self, symbol: str, count: int) -> None:
        """Makes the next sequence of a symbol greater by `count`, or smaller if `count` is negative."""
        self._next[symbol] = self._next.get(symbol, self._first) + count

    def trades(self, symbol: str) -> Sequence[LedgerTrade]:
        return self._trades.get(symbol, [])

    def newest(self, symbol: str, count: int) -> Sequence[LedgerTrade]:
        """Returns up to `count` trades that happened last, oldest first."""
        return self._trades.get(symbol, [])[-count:]

    def bars(self, symbol: str, interval: int) -> list[LedgerBar]:
        """Returns the bars of `interval` seconds that have a trade, oldest first.

        Trades count in the order of their timestamps, and of their sequences if the timestamps are equal.
        """
        length = interval * 1_000_000
        grouped: dict[int, list[LedgerTrade]] = {}
        for trade in sorted(self.trades(symbol), key=lambda trade: (trade.timestamp, trade.sequence)):
            grouped.setdefault(trade.timestamp // length * length, []).append(trade)
        return [_make_bar(start, trades) for start, trades in grouped.items()]

    def write_csv(self, path: Path) -> None:
        """Writes all trades with a header, symbol after symbol. Numbers are decimal texts, so nothing is rounded."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(map(_cells, self._all_trades()))

    def _all_trades(self) -> Iterable[LedgerTrade]:
        return (trade for trades in self._trades.values() for trade in trades)


def _cells(trade: LedgerTrade) -> tuple[object, ...]:
    return trade.symbol, trade.sequence, trade.timestamp, f"{trade.price:f}", f"{trade.size:f}"


def _make_bar(start: int, trades: Sequence[LedgerTrade]) -> LedgerBar:
    prices = [trade.price for trade in trades]
    volume = sum((trade.size for trade in trades), Decimal(0))
    return LedgerBar(start, prices[0], max(prices), min(prices), prices[-1], volume, len(trades))
