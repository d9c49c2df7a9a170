"""Makes rows of the table without a database."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from feeds.wire import Update
from watchlist.page.rows import Row, make_row

NOW = datetime(2026, 11, 22, 16, 2, 12, tzinfo=UTC)
STALE_AFTER = timedelta(seconds=5)


@dataclass(frozen=True)
class TickerStub:
    """A ticker without a database, with only the attributes that rows use."""

    symbol: str = "AAPL"
    name: str = ""
    base_price: float = 100.0
    decimals: int = 2
    source: str = "simulated"


def row_of(price: float, base_price: float = 100.0, decimals: int = 2, age: float = 0.0) -> Row:
    """Returns a row whose price is `age` seconds older than NOW."""
    timestamp = int(NOW.timestamp() * 1_000_000 - age * 1_000_000)
    ticker = TickerStub(base_price=base_price, decimals=decimals)
    return make_row(ticker, Update("AAPL", price, timestamp, 7), NOW, STALE_AFTER)
