import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.csv_cells import escape, unescape
from tests.support.watchlist.rows import NOW, STALE_AFTER, TickerStub, row_of
from watchlist.errors import BadName
from watchlist.lists.csv_import import MAX_LINES, read_lists
from watchlist.lists.merging import merge_lists
from watchlist.lists.rules import MAX_LISTS, MAX_SYMBOLS, NamedList, UserLists, check_name
from watchlist.page.csv_export import HEADER, write_lists
from watchlist.page.rows import make_row

KNOWN = ["AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X", "GOOG"]


def export(lists: list[NamedList]) -> str:
    def row(symbol: str):
        return make_row(TickerStub(symbol, name="=1+1"), None, NOW, STALE_AFTER)

    return write_lists((each.name, [row(symbol) for symbol in each.symbols]) for each in lists)


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
    unique_by=lambda named_list: named_list.name.casefold(),
)


@given(lists)
def test_an_exported_file_is_imported_exactly(lists):
    imported = read_lists("\ufeff" + export(lists), KNOWN)
    assert list(imported.lists) == lists
    assert imported.refusals == ()


@given(lists)
def test_no_cell_begins_like_a_formula(lists):
    for line in csv.reader(io.StringIO(export(lists))):
        assert not any(cell[:1] in tuple("=+-@\t\r") for cell in line if cell)


@given(st.text())
def test_unescaping_reverses_escaping(text):
    assert unescape(escape(text)) == text


@pytest.mark.parametrize("sign", [*"=+-@\t\r", *"＝＋－＠"])
@pytest.mark.parametrize("before", ["", "a;", "a\t", "a|", "a\n", "'", "a;'"])
def test_no_part_of_a_cell_begins_like_a_formula_for_any_separator(before, sign):
    for part in re.split(r"[;|\n]", escape(f"{before}{sign}1+1")):
        assert not part.startswith(tuple("=+-@＝＋－＠"))


@given(st.text(alphabet=st.sampled_from("=＝-;|\t\n'a"), max_size=12))
def test_unescaping_reverses_escaping_of_many_signs(text):
    assert unescape(escape(text)) == text


def test_the_file_states_that_prices_are_simulated():
    [header, line] = csv.reader(io.StringIO(export([NamedList(0, "Main", ("AAPL",))])))
    assert tuple(header) == HEADER
    assert line[0:2] == ["Main", "AAPL"]
    assert line[-1] == "simulated"


def test_exported_numbers_are_plain_and_rounded_like_those_of_the_page():
    [_, line] = csv.reader(io.StringIO(write_lists([("Main", [row_of(98234.125, base_price=100_000.0)])])))
    assert line[3:6] == ["98234.13", "-1765.88", "-1.77"]


def test_every_refused_line_has_its_number_and_reason():
    text = "list,symbol\nMain,AAPL\nMain,nope\n,AAPL\nMain,aapl\n\nMain,goog\n" + "x" * 41 + ",AAPL"
    imported = read_lists(text, KNOWN)
    assert imported.lists == (NamedList(0, "Main", ("AAPL", "GOOG")),)
    assert [(refusal.line, refusal.reason) for refusal in imported.refusals] == [
        (3, "No ticker is called NOPE."),
        (4, "A list needs a name."),
        (5, "AAPL is already in “Main”."),
        (8, "The name of a list can have 40 characters. This one has 41."),
    ]


def test_columns_have_any_order_and_the_header_is_optional():
    assert read_lists("Symbol,Note,List\nAAPL,x,Main", KNOWN).lists == (
        NamedList(0, "Main", ("AAPL",), notes={"AAPL": "x"}),
    )
    assert read_lists("Main,AAPL", KNOWN).lists == (NamedList(0, "Main", ("AAPL",)),)


@pytest.mark.parametrize("text", ["", "\n\n", '"', 'a,"b\nc', "\x00,\x00", "list,symbol"])
def test_a_text_without_lists_gives_no_lists(text):
    assert read_lists(text, KNOWN).lists == ()


@given(st.text(max_size=200))
def test_any_text_gives_only_known_symbols(text):
    imported = read_lists(text, KNOWN)
    assert {symbol for each in imported.lists for symbol in each.symbols} <= set(KNOWN)


def test_files_have_the_same_limits():
    symbols = [f"S{number}" for number in range(MAX_SYMBOLS + 1)]
    imported = read_lists("\n".join(f"Main,{symbol}" for symbol in symbols), symbols)
    assert len(imported.lists[0].symbols) == MAX_SYMBOLS
    assert len(imported.refusals) == 1
    imported = read_lists("\n".join(f"L{number},AAPL" for number in range(MAX_LISTS + 1)), KNOWN)
    assert (len(imported.lists), len(imported.refusals)) == (MAX_LISTS, 1)


def test_a_file_with_too_many_lines_is_refused_as_a_whole():
    imported = read_lists("Main,AAPL\n" * (MAX_LINES + 2), KNOWN)
    assert imported.lists == ()
    assert [refusal.reason for refusal in imported.refusals] == [f"The file has more than {MAX_LINES} lines."]


OWN_LISTS = UserLists((NamedList(1, "Main", ("AAPL",)), NamedList(2, "Coins", ())))
NEW_LISTS = [NamedList(0, "main", ("GOOG", "AAPL")), NamedList(0, "New", ("GOOG",))]


def test_an_existing_list_is_merged_or_replaced():
    merged, _ = merge_lists(OWN_LISTS, NEW_LISTS, replace=False)
    assert [each.symbols for each in merged.lists] == [("AAPL", "GOOG"), (), ("GOOG",)]
    replaced, _ = merge_lists(OWN_LISTS, NEW_LISTS, replace=True)
    assert [each.symbols for each in replaced.lists] == [("GOOG", "AAPL"), (), ("GOOG",)]
    assert [(each.key, each.name) for each in replaced.lists] == [(1, "Main"), (2, "Coins"), (0, "New")]


def test_lists_beyond_the_limit_are_reported():
    full = UserLists(tuple(NamedList(number, f"L{number}") for number in range(1, MAX_LISTS + 1)))
    merged, problems = merge_lists(full, NEW_LISTS[1:], replace=False)
    assert merged == full
    assert problems == [f"“New” was not imported: you have {MAX_LISTS} lists, which is the maximum."]


def test_symbols_beyond_the_limit_of_a_list_are_reported():
    full = NamedList(0, "Main", tuple(f"S{number}" for number in range(MAX_SYMBOLS)))
    merged, problems = merge_lists(OWN_LISTS, [full], replace=False)
    assert merged.lists[0].symbols == ("AAPL", *full.symbols[:-1])
    assert problems == ["“Main” is full: 1 symbol was not imported."]
    _, problems = merge_lists(merged, [NamedList(0, "Main", ("GOOG", "MSFT"))], replace=False)
    assert problems == ["“Main” is full: 2 symbols were not imported."]
