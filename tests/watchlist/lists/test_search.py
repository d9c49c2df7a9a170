import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchlist.lists.search import LONGEST_TYPED, read_typed, search


@pytest.fixture
def market(make_ticker):
    facts = {"AAPL": "Apple", "APP": "AppLovin", "AMAT": "Applied Materials", "BRK.B": "Berkshire Hathaway B"}
    for symbol, name in facts.items():
        make_ticker(symbol, name=name)
    make_ticker("PINE", name="Pineapple", active=False)


def found(text: str) -> list[str]:
    return [ticker.symbol for ticker in search(text)]


def test_an_exact_symbol_comes_first_then_symbols_then_names(market):
    assert found("app") == ["APP", "AAPL", "AMAT"]


def test_a_word_inside_a_name_is_found(market):
    assert found("hathaway") == ["BRK.B"]


@pytest.mark.parametrize("text", ["", "  ", "%", "_", "x" * 500])
def test_what_matches_nothing_finds_nothing(market, text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (" aapl ", ["AAPL"]),
        ("brk.b", ["BRK.B"]),
        ("apple", ["AAPL"]),
        ("Berkshire Hathaway B", ["BRK.B"]),
        ("aapl,app\napp", ["AAPL", "APP"]),
    ],
)
def test_symbols_and_names_are_understood(market, typed, meant):
    assert [ticker.symbol for ticker in read_typed(typed).tickers] == meant


@pytest.mark.parametrize("typed", ["", " ", "NOPE", "ß", "A" * 5000, "<b>", "\x00", "Ａ", "x" * LONGEST_TYPED])
def test_what_means_nothing_is_explained_in_a_sentence(market, typed):
    typed = read_typed(typed)
    assert not typed.tickers
    [sentence] = typed.refusals
    assert sentence.endswith(".")
    assert len(sentence) < 180
    assert "\x00" not in sentence


@pytest.mark.django_db
@settings(max_examples=40, deadline=None)
@given(st.text(max_size=30))
def test_anything_typed_is_answered(typed):
    assert read_typed(typed).refusals
