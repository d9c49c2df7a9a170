import pytest
from django.db import DatabaseError, connection
from structlog.testing import capture_logs

from feeds.errors import TickersUnavailable
from feeds.models import Ticker
from feeds.sources.simulated import Instrument
from feeds.tickers.instruments import TickerReader


@pytest.mark.django_db
def test_active_and_inactive_tickers_are_read():
    Ticker.objects.create(symbol="AAPL", base_price=150.0)
    Ticker.objects.create(symbol="OLD", base_price=2.0, volatility=3.0, decimals=4, active=False)

    assert TickerReader(lambda: None).read() == [Instrument("AAPL", 150.0), Instrument("OLD", 2.0, 3.0, 4, False)]


@pytest.mark.django_db
def test_tickers_of_other_sources_are_left_out():
    Ticker.objects.create(symbol="AAPL", base_price=150.0)
    Ticker.objects.create(symbol="BTC/USD", base_price=2.0, source="kraken")

    assert [each.symbol for each in TickerReader(lambda: None).read()] == ["AAPL"]


@pytest.mark.django_db
def test_the_table_is_seeded_once():
    calls: list[int] = []
    reader = TickerReader(lambda: calls.append(1))
    reader.read()
    reader.read()

    assert calls == [1]


@pytest.mark.django_db
def test_a_ticker_with_invalid_numbers_is_skipped_and_logged_once():
    Ticker.objects.create(symbol="AAPL", base_price=150.0)
    Ticker.objects.create(symbol="BROKEN", base_price=1.0)
    Ticker.objects.filter(symbol="BROKEN").update(base_price=-1.0)
    reader = TickerReader(lambda: None)
    with capture_logs() as lines:
        rows = [reader.read(), reader.read()]

    assert [[each.symbol for each in row] for row in rows] == [["AAPL"], ["AAPL"]]
    assert [line["symbol"] for line in lines] == ["BROKEN"]


@pytest.mark.django_db(transaction=True)
def test_a_missing_table_raises_a_transient_error_that_names_the_migration():
    def query_missing_table() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM no_such_table")

    reader = TickerReader(query_missing_table)
    with pytest.raises(TickersUnavailable, match="migrate") as caught:
        reader.read()

    assert isinstance(caught.value.__cause__, DatabaseError)
