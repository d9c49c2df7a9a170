import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds import wire
from watchlist.forms import SymbolForm


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(" aapl ", "AAPL"), ("brk.b", "BRK.B"), ("^gspc", "^GSPC"), ("btc/usd", "BTC/USD"), ("eurusd=x", "EURUSD=X")],
)
def test_a_symbol_is_trimmed_and_upper_cased(typed, meant):
    form = SymbolForm({"symbol": typed})
    assert form.is_valid()
    assert form.cleaned_data["symbol"] == meant


@pytest.mark.parametrize(
    "typed", ["", " ", "A B", "ß", "AAPL;", "A" * 16, "A" * 5000, "<b>", ".A", "\x00", "A\nB", "Ａ"]
)
def test_what_is_no_symbol_is_explained(typed):
    form = SymbolForm({"symbol": typed})
    assert not form.is_valid()
    [sentence] = form.errors["symbol"]
    assert sentence.endswith(".")
    assert len(sentence) < 160


@given(st.text(max_size=30))
def test_whatever_passes_is_a_symbol(typed):
    form = SymbolForm({"symbol": typed})
    if form.is_valid():
        assert wire.is_symbol(form.cleaned_data["symbol"])
