import pytest

from feeds.errors import UnknownSource
from feeds.sources.adapter import Credentials
from feeds.sources.registry import SOURCE_NAMES, SOURCES, find_source


@pytest.mark.parametrize("name", SOURCE_NAMES)
def test_a_source_is_found_by_its_name(name):
    source = find_source(name)

    assert source.name == name
    assert source.url.startswith("wss://")
    assert source.rest_url.startswith("https://")
    assert source.silent_seconds > 0


def test_alpaca_is_found_with_its_feed():
    assert find_source("alpaca", "crypto").title == "Alpaca (crypto)"
    with pytest.raises(UnknownSource, match="Alpaca has no feed"):
        find_source("alpaca", "gold")


@pytest.mark.parametrize("name", ["nasdaq", "", "Binance"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(UnknownSource, match=f"no source has the name “{name}”.*binance.*alpaca"):
        find_source(name)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCE_NAMES)
def test_symbols_of_each_source_translate_back(source):
    symbol = "AAPL" if source.name == "alpaca" else "BTC/USDT"

    assert source.to_symbol(source.to_native(symbol)) == symbol


def test_only_a_source_with_a_key_has_headers_for_it():
    credentials = Credentials("the-key", "the-secret")

    for source in SOURCES.values():
        assert bool(source.make_headers(credentials)) is source.needs_credentials


def test_credentials_hide_themselves():
    assert repr(Credentials("the-key", "the-secret")) == "Credentials(key=set, secret=set)"
    assert repr(Credentials()) == "Credentials(key=empty, secret=empty)"
