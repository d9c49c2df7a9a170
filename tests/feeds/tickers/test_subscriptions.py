import pytest
from django.db import connection
from structlog.testing import capture_logs

from feeds.errors import TickersUnavailable
from feeds.models import Ticker
from feeds.tickers.subscriptions import SubscriptionReader


def make(symbol: str, source: str, **fields) -> None:
    Ticker.objects.create(symbol=symbol, base_price=1.0, source=source, **fields)


@pytest.mark.django_db
def test_active_real_tickers_are_grouped_by_source():
    make("AAPL", "simulated")
    make("BTC/USD", "kraken")
    make("ETH/USD", "kraken", native="XETHZUSD")
    make("SOL/USD", "kraken", active=False)
    make("BTC/USDT", "binance")
    make("MSFT", "alpaca", active=False)

    assert SubscriptionReader().read() == {
        "kraken": {"BTC/USD": "", "ETH/USD": "XETHZUSD"},
        "binance": {"BTC/USDT": ""},
    }


@pytest.mark.django_db
def test_an_invalid_row_is_skipped_and_logged_once():
    make("BTC/USD", "kraken")
    make("a b", "kraken")
    make("NEW", "nasdaq")
    make("ODD", "binance", native="ü")
    reader = SubscriptionReader()
    with capture_logs() as lines:
        assert [reader.read(), reader.read()] == [{"kraken": {"BTC/USD": ""}}] * 2

    assert [(line["symbol"], line["event"]) for line in lines] == [
        ("a b", "ticker skipped: its symbol is not valid"),
        ("NEW", "ticker skipped: its source is unknown"),
        ("ODD", "ticker skipped: its native symbol is not valid"),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_missing_table_raises_a_transient_error_that_names_the_migration():
    with connection.schema_editor() as editor:
        editor.alter_db_table(Ticker, "feeds_ticker", "feeds_ticker_hidden")
    try:
        with pytest.raises(TickersUnavailable, match="migrate"):
            SubscriptionReader().read()
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(Ticker, "feeds_ticker_hidden", "feeds_ticker")
