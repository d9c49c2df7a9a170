import pytest
from structlog.testing import capture_logs

from feeds.errors import BadTicker
from feeds.models import Ticker
from feeds.source_names import SIMULATED
from feeds.tickers.seed import seed_demo, seed_tickers

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
