from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from feeds.models import DayBar, Ticker
from tests.exchanges.binance import BinanceExchange
from tests.support.history.exchange_bars import DAY_US

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def exchange(settings: Any) -> Iterator[BinanceExchange]:
    with BinanceExchange(["BTC/USDT"]) as exchange:
        settings.BINANCE_REST_URL = exchange.rest_url
        today = exchange.now() // DAY_US * DAY_US
        exchange.trades([("BTC/USDT", "7.5", "1", today - 3 * DAY_US)], sent=False)
        yield exchange


@pytest.fixture
def tickers() -> None:
    for symbol, source, active in [
        ("AAPL", "simulated", True),
        ("BTC/USDT", "binance", True),
        ("OLD/USDT", "binance", False),
    ]:
        Ticker.objects.create(symbol=symbol, base_price=1.0, source=source, active=active)


def test_all_active_real_tickers_are_fetched(
    exchange: BinanceExchange, tickers: None, capsys: pytest.CaptureFixture[str]
):
    call_command("backfill", "--days", "30")
    assert capsys.readouterr().out == "BTC/USDT: binance: 1 days, 1 minutes\n"
    assert DayBar.objects.get().close == 7.5


def test_a_symbol_that_fails_is_reported_and_the_exit_code_is_1(
    exchange: BinanceExchange, tickers: None, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit, match="1"):
        call_command("backfill", "btc/usdt", "old/usdt")
    out, err = capsys.readouterr()
    assert out.startswith("BTC/USDT: binance: 1 days")
    assert err.startswith("OLD/USDT: binance: ")


@pytest.mark.parametrize("arguments", [["AAPL"], ["XXXX"], ["--days", "0"], ["--days", "4000"]])
def test_symbols_without_a_history_and_bad_numbers_of_days_are_refused(tickers: None, arguments: list[str]):
    with pytest.raises(CommandError):
        call_command("backfill", *arguments)


def test_a_source_without_its_key_is_refused(tickers: None):
    Ticker.objects.create(symbol="MSFT", base_price=1.0, source="alpaca")
    with pytest.raises(CommandError, match="ALPACA_KEY_ID"):
        call_command("backfill", "MSFT")
