import pytest
from django.db import DatabaseError, connection
from structlog.testing import capture_logs

from feeds.errors import TickersUnavailable
from feeds.models import Ticker
from feeds.sources.simulated import Instrument
from feeds.tickers.instruments import Tickers


@pytest.mark.django_db
def test_all_rows_are_read_active_or_not():
    Ticker.objects.create(symbol="AAPL", base_price=150.0)
    Ticker.objects.create(symbol="OLD", base_price=2.0, volatility=3.0, decimals=4, active=False)

    assert Tickers(lambda: None).read() == [Instrument("AAPL", 150.0), Instrument("OLD", 2.0, 3.0, 4, False)]


@pytest.mark.django_db
def test_the_table_is_seeded_once():
    calls: list[int] = []
    tickers = Tickers(lambda: calls.append(1))
    tickers.read()
    tickers.read()

    assert calls == [1]


@pytest.mark.django_db
def test_a_row_that_no_walk_can_start_from_is_left_out_and_said_once():
    Ticker.objects.create(symbol="AAPL", base_price=150.0)
    Ticker.objects.create(symbol="BROKEN", base_price=1.0)
    Ticker.objects.filter(symbol="BROKEN").update(base_price=-1.0)
    tickers = Tickers(lambda: None)
    with capture_logs() as lines:
        rows = [tickers.read(), tickers.read()]

    assert [[each.symbol for each in row] for row in rows] == [["AAPL"], ["AAPL"]]
    assert [line["symbol"] for line in lines] == ["BROKEN"]


@pytest.mark.django_db(transaction=True)
def test_a_table_that_cannot_be_read_is_a_trouble_that_passes_and_names_the_cure():
    def broken() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM no_such_table")

    tickers = Tickers(broken)
    with pytest.raises(TickersUnavailable, match="migrate") as caught:
        tickers.read()

    assert isinstance(caught.value.__cause__, DatabaseError)
