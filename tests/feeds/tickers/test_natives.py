import pytest

from feeds.models import Ticker
from feeds.tickers.natives import describe_namesake, native_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("ticker", "native"),
    [
        (("kraken", "BTC/USD", ""), "BTC/USD"),
        (("kraken", "BTC/USD", "XBT/USD"), "XBT/USD"),
        (("coinbase", "BTC/USD", ""), "BTC-USD"),
        (("binance", "BTC/USDT", ""), "BTCUSDT"),
        (("alpaca", "BRK.B", ""), "BRK.B"),
        (("replay", "BTC/USD", ""), "BTC/USD"),
        (("replay", "BTC/USD", "X"), "X"),
        (("simulated", "BTC/USD", "X"), ""),
        (("nowhere", "BTC/USD", ""), ""),
    ],
)
def test_a_ticker_has_its_own_native_symbol_or_the_one_that_its_source_derives(
    ticker: tuple[str, str, str], native: str
):
    assert native_of(*ticker) == native


def make(symbol: str, source: str = "coinbase", native: str = "", active: bool = True) -> Ticker:
    return Ticker(symbol=symbol, source=source, native=native, active=active, base_price=1.0)


@pytest.mark.parametrize(
    "ticker",
    [
        make("ETH/USD"),
        make("XBT", native="BTC-USD", active=False),
        make("BTC-USD", source="kraken"),
        make("BTC-USD", source="simulated"),
        make("OFF", native="OFF-USD"),
        make("XBT", source="nowhere"),
    ],
)
def test_other_tickers_have_no_namesake(ticker: Ticker):
    make("BTC/USD").save()
    make("OFF/USD", active=False).save()
    assert describe_namesake(ticker) == ""


def test_a_stored_ticker_is_compared_only_if_its_native_symbol_changes():
    make("BTC/USD").save()
    other = make("XBT", native="BTC-USD")
    other.save()
    assert describe_namesake(other) == ""
    other.native = "XBT-USD"
    other.save()
    other.native = "BTC-USD"
    assert "The active ticker BTC/USD has" in describe_namesake(other)
    other.native = "XBT-USD"
    other.source = "kraken"
    assert describe_namesake(other) == ""
