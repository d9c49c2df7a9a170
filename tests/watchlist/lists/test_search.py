import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchlist.lists.search import MAX_TYPED_LENGTH, read_typed, search


@pytest.fixture
def market(make_ticker):
    names = {"AAPL": "Apple", "APP": "AppLovin", "AMAT": "Applied Materials", "BRK.B": "Berkshire Hathaway B"}
    for symbol, name in names.items():
        make_ticker(symbol, name=name)
    make_ticker("PINE", name="Pineapple", active=False)


def found(text: str) -> list[str]:
    return [ticker.symbol for ticker in search(text)]


def test_an_exact_symbol_comes_first_then_symbols_then_names(market):
    assert found("app") == ["APP", "AAPL", "AMAT"]


def test_a_word_within_a_name_is_found(market):
    assert found("hathaway") == ["BRK.B"]


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("NESTLÉ", "NESN"),
        ("nestle", "NESN"),
        ("nestle\u0301", "NESN"),
        ("ørsted", "ORSTED"),
        ("ORSTED", "ORSTED"),
        ("générale", "GLE"),
        ("Äpple", "AAPL"),
    ],
)
def test_case_and_accents_make_no_difference(market, make_ticker, text, symbol):
    for number, name in enumerate(["Nestlé", "Ørsted", "Société Générale"]):
        make_ticker(["NESN", "ORSTED", "GLE"][number], name=name)
    assert found(text)[0] == symbol
    assert [ticker.symbol for ticker in read_typed(text).tickers][:1] in ([symbol], [])


def test_accents_keep_the_order_of_matches(market, make_ticker):
    make_ticker("ZZ", name="Appé")
    assert found("app") == ["APP", "AAPL", "AMAT", "ZZ"]
    assert found("appe") == ["ZZ"]


@pytest.mark.parametrize("text", ["", "  ", "%", "_", "x" * 500])
def test_a_text_without_a_match_finds_nothing(market, text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("typed", "symbols"),
    [
        (" aapl ", ["AAPL"]),
        ("brk.b", ["BRK.B"]),
        ("apple", ["AAPL"]),
        ("Berkshire Hathaway B", ["BRK.B"]),
        ("aapl,app\napp", ["AAPL", "APP"]),
    ],
)
def test_typed_symbols_and_names_are_found(market, typed, symbols):
    assert [ticker.symbol for ticker in read_typed(typed).tickers] == symbols


@pytest.mark.parametrize("typed", ["", " ", "NOPE", "ß", "A" * 5000, "<b>", "\x00", "Ａ", "x" * MAX_TYPED_LENGTH])
def test_an_unknown_text_is_explained_in_a_sentence(market, typed):
    typed = read_typed(typed)
    assert not typed.tickers
    [sentence] = typed.refusals
    assert sentence.endswith(".")
    assert len(sentence) < 180
    assert "\x00" not in sentence


@pytest.mark.django_db
@settings(max_examples=40, deadline=None)
@given(st.text(max_size=30))
def test_any_unknown_text_is_explained(typed):
    assert read_typed(typed).refusals
