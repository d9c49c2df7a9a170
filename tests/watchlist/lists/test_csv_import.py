import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.csv_cells import escape, unescape
from feeds.models import Ticker
from tests.support.rows import NOW, STALE_AFTER
from watchlist.errors import BadName
from watchlist.lists.csv_import import merge_lists, read_lists
from watchlist.lists.rules import MOST_LISTS, MOST_SYMBOLS, NamedList, UserLists, check_name
from watchlist.page.csv_export import COLUMNS, write_lists
from watchlist.page.rows import make_row

KNOWN = ["AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X", "GOOG"]


def export(lists: list[NamedList]) -> str:
    def row(symbol: str):
        return make_row(Ticker(symbol=symbol, name="=1+1", base_price=1.0), None, NOW, STALE_AFTER)

    return write_lists((named.name, [row(symbol) for symbol in named.symbols]) for named in lists)


def is_name(text: str) -> bool:
    try:
        return check_name(text, ()) == text
    except BadName:
        return False


names = st.one_of(
    st.text(min_size=1, max_size=40).filter(is_name),
    st.sampled_from(["=1+1", "'=x", "''-1", "'70s", "@me", '"quoted"', "a,b", "list", "symbol"]),
)
lists = st.lists(
    st.builds(NamedList, st.just(0), names, st.lists(st.sampled_from(KNOWN), unique=True).map(tuple)),
    max_size=6,
    unique_by=lambda named: named.name.casefold(),
)


@given(lists)
def test_what_is_exported_comes_back_exactly(lists):
    reading = read_lists("\ufeff" + export(lists), KNOWN)
    assert list(reading.lists) == lists
    assert reading.refusals == ()


@given(lists)
def test_no_cell_begins_as_a_formula_does(lists):
    for line in csv.reader(io.StringIO(export(lists))):
        assert not any(cell[:1] in tuple("=+-@\t\r") for cell in line if cell)


@given(st.text())
def test_escaping_is_undone(text):
    assert unescape(escape(text)) == text


def test_the_file_says_that_prices_are_simulated():
    [head, line] = csv.reader(io.StringIO(export([NamedList(0, "Main", ("AAPL",))])))
    assert tuple(head) == COLUMNS
    assert line[0:2] == ["Main", "AAPL"]
    assert line[-1] == "simulated"


def test_every_refused_line_is_named_with_its_reason():
    text = "list,symbol\nMain,AAPL\nMain,nope\n,AAPL\nMain,aapl\n\nMain,goog\n" + "x" * 41 + ",AAPL"
    reading = read_lists(text, KNOWN)
    assert reading.lists == (NamedList(0, "Main", ("AAPL", "GOOG")),)
    assert [(refusal.line, refusal.reason) for refusal in reading.refusals] == [
        (3, "No ticker is called NOPE."),
        (4, "A list needs a name."),
        (5, "AAPL stands in “Main” already."),
        (8, "A list's name has at most 40 characters; this one has 41."),
    ]


def test_columns_may_stand_in_any_order_and_the_header_may_be_missing():
    assert read_lists("Symbol,Note,List\nAAPL,x,Main", KNOWN).lists == (NamedList(0, "Main", ("AAPL",)),)
    assert read_lists("Main,AAPL", KNOWN).lists == (NamedList(0, "Main", ("AAPL",)),)


@pytest.mark.parametrize("text", ["", "\n\n", '"', 'a,"b\nc', "\x00,\x00", "list,symbol"])
def test_what_holds_no_list_is_read_without_harm(text):
    assert read_lists(text, KNOWN).lists == ()


@given(st.text(max_size=200))
def test_any_text_is_read_without_harm(text):
    read_lists(text, KNOWN)


def test_the_caps_hold_for_files_too():
    symbols = [f"S{number}" for number in range(MOST_SYMBOLS + 1)]
    reading = read_lists("\n".join(f"Main,{symbol}" for symbol in symbols), symbols)
    assert len(reading.lists[0].symbols) == MOST_SYMBOLS
    assert len(reading.refusals) == 1
    reading = read_lists("\n".join(f"L{number},AAPL" for number in range(MOST_LISTS + 1)), KNOWN)
    assert (len(reading.lists), len(reading.refusals)) == (MOST_LISTS, 1)


BOOK = UserLists((NamedList(1, "Main", ("AAPL",)), NamedList(2, "Coins", ())))
BROUGHT = [NamedList(0, "main", ("GOOG", "AAPL")), NamedList(0, "New", ("GOOG",))]


def test_a_list_that_is_there_gets_what_it_lacks_or_is_replaced():
    merged, _ = merge_lists(BOOK, BROUGHT, replace=False)
    assert [named.symbols for named in merged.lists] == [("AAPL", "GOOG"), (), ("GOOG",)]
    replaced, _ = merge_lists(BOOK, BROUGHT, replace=True)
    assert [named.symbols for named in replaced.lists] == [("GOOG", "AAPL"), (), ("GOOG",)]
    assert [(named.key, named.name) for named in replaced.lists] == [(1, "Main"), (2, "Coins"), (0, "New")]


def test_what_finds_no_room_is_said():
    full = UserLists(tuple(NamedList(number, f"L{number}") for number in range(1, MOST_LISTS + 1)))
    merged, said = merge_lists(full, BROUGHT[1:], replace=False)
    assert merged == full
    assert said == [f"“New” was left out: you have {MOST_LISTS} lists, which is the most there can be."]
