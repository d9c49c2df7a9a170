"""Collects the newest seq_id, time and trades of each symbol from records. Pure."""

from collections import deque
from collections.abc import Mapping

from feeds.records import ID_HEADER, SOURCE_HEADER, PublishedTrade, TopicEnd
from feeds.wire import Update

MAX_TRADES = 4096
"""How many trades of a symbol are kept. Older trades are dropped."""

MAX_ID_BYTES = 200

Headers = Mapping[str, str | bytes | None]


class SymbolEnds:
    """Collects a TopicEnd for each symbol from records: the greatest seq_id, the newest timestamp, the last trades.

    `symbols` maps each symbol to a pair: the greatest seq_id and the newest timestamp.
    """

    def __init__(self) -> None:
        self.symbols: dict[str, tuple[int, int]] = {}
        self._trades: dict[str, deque[PublishedTrade]] = {}

    def add(self, update: Update, headers: Headers) -> None:
        """Adds an update and the headers of its record. Call this method in the order of the records."""
        seq_id, timestamp = self.symbols.get(update.symbol, (0, 0))
        self.symbols[update.symbol] = max(seq_id, update.seq_id), max(timestamp, update.timestamp)
        source, trade_id = read_header(headers.get(SOURCE_HEADER)), read_header(headers.get(ID_HEADER))
        if source and trade_id:
            trades = self._trades.setdefault(update.symbol, deque(maxlen=MAX_TRADES))
            trades.append(PublishedTrade(source, trade_id, update.price, update.timestamp))

    def finish(self) -> dict[str, TopicEnd]:
        """Returns the TopicEnd of each added symbol."""
        return {
            symbol: TopicEnd(seq_id, timestamp, tuple(self._trades.get(symbol, ())))
            for symbol, (seq_id, timestamp) in self.symbols.items()
        }


def read_header(value: str | bytes | None) -> str:
    """Returns the value of a header as text. The text is empty if the value is missing or too long."""
    if value is None or len(value) > MAX_ID_BYTES:
        return ""
    return value if isinstance(value, str) else value.decode(errors="ignore")
