"""The ledger of a fake exchange: all trades, including trades that were not sent."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

COLUMNS = ("symbol", "sequence", "timestamp", "price", "size")


@dataclass(frozen=True, slots=True)
class LedgerTrade:
    """One trade. `timestamp` is in unix microseconds.

    `symbol` is not the native symbol. `sequence` is the exchange's number of the trade. The number grows by one with
    each trade of the symbol.
    """

    symbol: str
    sequence: int
    timestamp: int
    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class LedgerBar:
    """The trades of one interval. `start` is in unix microseconds. `volume` is the exact sum of sizes."""

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
        """Returns the last `count` trades of a symbol, oldest first."""
        return self._trades.get(symbol, [])[-count:]

    def bars(self, symbol: str, interval: int) -> list[LedgerBar]:
        """Returns the bars of `interval` seconds that have a trade, oldest first.

        Trades are sorted by timestamp. Trades with equal timestamps are sorted by sequence.
        """
        length = interval * 1_000_000
        grouped: dict[int, list[LedgerTrade]] = {}
        for trade in sorted(self.trades(symbol), key=lambda trade: (trade.timestamp, trade.sequence)):
            grouped.setdefault(trade.timestamp // length * length, []).append(trade)
        return [_make_bar(start, trades) for start, trades in grouped.items()]

    def write_csv(self, path: Path) -> None:
        """Writes all trades with a header, symbol after symbol. Numbers are written as decimals without rounding."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(map(_cells, self._all_trades()))

    def _all_trades(self) -> Iterable[LedgerTrade]:
        return (trade for trades in self._trades.values() for trade in trades)


def time_text(timestamp: int) -> str:
    """Returns a time (unix microseconds) as RFC 3339 text, such as `2026-03-02T07:49:37.708706Z`."""
    return f"{_second_text(timestamp // 1_000_000)}.{timestamp % 1_000_000:06}Z"


@lru_cache(maxsize=1024)
def _second_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _cells(trade: LedgerTrade) -> tuple[object, ...]:
    return trade.symbol, trade.sequence, trade.timestamp, f"{trade.price:f}", f"{trade.size:f}"


def _make_bar(start: int, trades: Sequence[LedgerTrade]) -> LedgerBar:
    prices = [trade.price for trade in trades]
    volume = sum((trade.size for trade in trades), Decimal(0))
    return LedgerBar(start, prices[0], max(prices), min(prices), prices[-1], volume, len(trades))
