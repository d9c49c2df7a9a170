import pytest

from stockwatch.local.redis_server import RedisServer
from watchlist.prices.quotes import Quotes, read_quotes


def test_quotes_are_read_for_every_kind_of_symbol(put_price):
    for price, symbol in enumerate(["AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X"], start=1):
        put_price(symbol, float(price))
    quotes = read_quotes(["EURUSD=X", "AAPL", "BRK.B", "^GSPC", "BTC/USD"])
    assert quotes.available
    assert {symbol: update.price for symbol, update in quotes.updates.items()} == {
        "AAPL": 1.0,
        "BRK.B": 2.0,
        "^GSPC": 3.0,
        "BTC/USD": 4.0,
        "EURUSD=X": 5.0,
    }


def test_a_symbol_without_a_quote_is_omitted(put_price):
    put_price("AAPL", 1.0)
    assert list(read_quotes(["AAPL", "GOOG"]).updates) == ["AAPL"]


@pytest.mark.parametrize(
    "value", [b"", b"not json", b"\xff", b"{}", b'{"symbol":"GOOG","price":1,"timestamp":1,"seq_id":1}']
)
def test_a_value_that_is_not_a_quote_of_the_symbol_is_omitted(store, value):
    store.set("stock:AAPL", value)
    assert read_quotes(["AAPL"]) == Quotes({}, available=True)


def test_an_empty_list_sends_no_command(store):
    before = store.info("commandstats").get("cmdstat_mget")
    assert read_quotes([]) == Quotes()
    assert store.info("commandstats").get("cmdstat_mget") == before


def test_quotes_are_unavailable_if_redis_is_unreachable(settings):
    with RedisServer() as stopped:
        settings.REDIS = settings.REDIS | {"host": stopped.host, "port": stopped.port}
    assert read_quotes(["AAPL"]) == Quotes({}, available=False)


def test_quotes_are_available_again_after_redis_restarts(settings, store, put_price):
    with RedisServer() as server:
        settings.REDIS = settings.REDIS | {"host": server.host, "port": server.port}
        assert read_quotes(["AAPL"]).available
        server.stop()
        assert not read_quotes(["AAPL"]).available
        server.start()
        assert read_quotes(["AAPL"]).available
