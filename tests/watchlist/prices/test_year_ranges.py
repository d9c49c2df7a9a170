"""The 52-week range."""

from datetime import UTC, datetime, timedelta

import pytest

from feeds.models import DayBar, Tape, Ticker
from watchlist.prices.day import PriceRange
from watchlist.prices.year_ranges import read_year_ranges

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def add_day(symbol: str, days_ago: int, low: float, high: float, source: str = "simulated") -> None:
    tape, _ = Tape.objects.get_or_create(symbol=symbol, source=source)
    prices = {"open": low, "high": high, "low": low, "close": high, "count": 2}
    order = {"first_seq": 1, "last_seq": 2, "first_at": 0, "last_at": 0}
    DayBar.objects.create(tape=tape, day=(NOW - timedelta(days=days_ago)).date(), **prices, **order)


def test_the_range_is_that_of_all_days_of_52_weeks():
    for days_ago, low, high in ((365, 1.0, 99.0), (364, 5.0, 6.0), (10, 4.0, 5.0), (0, 6.0, 8.0)):
        add_day("AAPL", days_ago, low, high)
    add_day("MSFT", 3, 10.0, 11.0)
    assert read_year_ranges(["AAPL", "MSFT", "XXXX"], NOW) == {
        "AAPL": PriceRange(4.0, 8.0),
        "MSFT": PriceRange(10.0, 11.0),
    }


def test_simulated_days_do_not_count_for_a_ticker_with_real_prices():
    Ticker.objects.create(symbol="BTC/USD", name="Bitcoin", base_price=250.0, source="kraken", native="BTC/USD")
    add_day("BTC/USD", 20, 99.0, 101.0)
    add_day("BTC/USD", 1, 249.0, 251.0, source="kraken")
    assert read_year_ranges(["BTC/USD"], NOW) == {"BTC/USD": PriceRange(249.0, 251.0)}


def test_no_symbols_need_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert read_year_ranges([], NOW) == {}


def test_all_symbols_need_one_query(django_assert_num_queries):
    for number in range(5):
        add_day(f"S{number}", 1, 1.0, 2.0)
    with django_assert_num_queries(1):
        assert len(read_year_ranges([f"S{number}" for number in range(5)], NOW)) == 5
