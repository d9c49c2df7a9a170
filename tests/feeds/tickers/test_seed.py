import pytest
from structlog.testing import capture_logs

from feeds.errors import BadTicker
from feeds.models import Ticker
from feeds.source_names import REPLAY, SIMULATED, SOURCE_NAMES
from feeds.sources.registry import find_source
from feeds.tickers.seed import seed_demo, seed_source, seed_tickers
from feeds.tickers.starters import Starter, starters

pytestmark = pytest.mark.django_db


def test_an_empty_table_is_seeded_in_the_order_given():
    assert seed_tickers(["GOOG", "AAPL", "GOOG"], {"AAPL": 150.0, "GOOG": 2800.0}) == 2
    assert list(Ticker.objects.values_list("symbol", "base_price", "active", "source")) == [
        ("GOOG", 2800.0, True, SIMULATED),
        ("AAPL", 150.0, True, SIMULATED),
    ]


def test_a_table_with_rows_is_not_changed():
    Ticker.objects.create(symbol="MINE", base_price=1.0, active=False)

    assert seed_tickers(["AAPL"], {"AAPL": 150.0}) == 0
    assert seed_demo() == 0
    assert Ticker.objects.count() == 1


def test_a_symbol_without_a_price_starts_at_100_and_the_log_names_the_variable():
    with capture_logs() as lines:
        seed_tickers(["BRK.B"], {})

    assert Ticker.objects.get().base_price == 100.0
    assert (lines[0]["symbol"], lines[0]["variable"]) == ("BRK.B", "GENERATOR_BASE_PRICES_BRK_B")


def test_a_price_may_have_the_name_of_a_shell_variable():
    seed_tickers(["BRK.B"], {"BRK_B": 468.01})

    assert Ticker.objects.get().base_price == 468.01


def test_an_invalid_symbol_is_refused_and_nothing_is_seeded():
    with pytest.raises(BadTicker, match="GENERATOR_TICKERS: 'not a symbol'"):
        seed_tickers(["AAPL", "not a symbol"], {"AAPL": 1.0})

    assert not Ticker.objects.exists()


def test_the_error_for_a_price_below_one_cent_names_its_variable():
    with pytest.raises(BadTicker, match=r"GENERATOR_BASE_PRICES_AAPL=0\.001"):
        seed_tickers(["AAPL"], {"AAPL": 0.001})


def test_the_demonstration_has_some_forty_valid_tickers_of_all_kinds():
    assert 38 <= seed_demo() <= 48
    for ticker in Ticker.objects.all():
        ticker.full_clean(validate_unique=False)
        assert ticker.name
    first_twelve = [
        "AAPL",
        "MSFT",
        "NVDA",
        "GOOG",
        "AMZN",
        "TSLA",
        "BRK.B",
        "BTC/USD",
        "EURUSD=X",
        "^GSPC",
        "GLD",
        "XOM",
    ]
    assert list(Ticker.objects.values_list("symbol", flat=True)[:12]) == first_twelve
    assert Ticker.objects.get(symbol="EURUSD=X").decimals == 5
    assert set(Ticker.objects.values_list("source", flat=True)) == {SIMULATED}
    assert Ticker.objects.get(symbol="USDJPY=X").currency == "JPY"


BITCOIN = Starter("BTC/USD", "Bitcoin", 90_000.0, 1, "USD")
ETHER = Starter("ETH/USD", "Ether", 3_000.0, 2, "USD")


def test_the_tickers_of_a_source_are_created_if_it_has_none():
    assert seed_source("kraken", [BITCOIN, ETHER], replace=False) == 2
    assert seed_source("kraken", [Starter("SOL/USD", "Solana", 1.0, 2, "USD")], replace=False) == 0

    rows = Ticker.objects.values_list("symbol", "source", "decimals", "currency")
    assert list(rows) == [("BTC/USD", "kraken", 1, "USD"), ("ETH/USD", "kraken", 2, "USD")]


def test_a_symbol_that_has_a_ticker_keeps_its_source():
    Ticker.objects.create(symbol="BTC/USD", base_price=1.0)

    assert seed_source("kraken", [BITCOIN, ETHER], replace=False) == 1
    assert Ticker.objects.get(symbol="BTC/USD").source == SIMULATED


def test_a_simulated_ticker_of_a_table_that_was_just_filled_changes_its_source():
    Ticker.objects.create(symbol="BTC/USD", base_price=1.0)
    seed_source("coinbase", [BITCOIN], replace=True)

    assert seed_source("kraken", [BITCOIN, ETHER], replace=True) == 1
    assert dict(Ticker.objects.values_list("symbol", "source")) == {"BTC/USD": "coinbase", "ETH/USD": "kraken"}


def test_two_starters_with_one_native_symbol_are_refused():
    with pytest.raises(BadTicker, match="BTC-USD and BTC/USD have the same native symbol BTC-USD of coinbase"):
        seed_source("coinbase", [BITCOIN, ETHER, BITCOIN._replace(symbol="BTC-USD")], replace=False)
    assert not Ticker.objects.exists()


@pytest.mark.parametrize("source", [name for name in SOURCE_NAMES if name not in {SIMULATED, REPLAY}])
@pytest.mark.parametrize("feed", ["iex", "crypto", "test"])
def test_each_starter_is_a_valid_ticker_that_its_source_can_have(source: str, feed: str):
    found = starters(source, feed)
    assert len(found) >= (1 if (source, feed) == ("alpaca", "test") else 12)
    for starter in found:
        Ticker(source=source, **starter._asdict()).full_clean()
        assert find_source(source, feed).to_native(starter.symbol)


def test_other_sources_have_no_starters():
    assert starters(SIMULATED, "iex") == []
