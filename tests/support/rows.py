"""Rows of the page for tests."""

from datetime import UTC, datetime, timedelta

from feeds.models import Ticker
from feeds.wire import Update
from watchlist.page.rows import make_row

NOW = datetime(2026, 11, 22, 16, 2, 12, tzinfo=UTC)


STALE_AFTER = timedelta(seconds=5)


def row_of(price: float, base: float = 100.0, decimals: int = 2, age: float = 0.0, **facts):
    ticker = Ticker(symbol="AAPL", base_price=base, decimals=decimals, **facts)
    moment = int(NOW.timestamp() * 1_000_000 - age * 1_000_000)
    return make_row(ticker, Update("AAPL", price, moment, 7), NOW, STALE_AFTER)
