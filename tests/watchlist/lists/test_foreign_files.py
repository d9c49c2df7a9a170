"""Imports of files that other programs and people write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwatch.settings import BASE_DIR
from watchlist.lists.csv_columns import find_columns
from watchlist.lists.csv_import import MAX_LINES, name_of_file, read_lists
from watchlist.lists.csv_lines import read_cells, split_lines
from watchlist.lists.foreign_symbols import find_symbol
from watchlist.lists.merging import append_lists, free_name
from watchlist.lists.rules import MAX_LISTS, NamedList, UserLists

CASES = BASE_DIR / "tests" / "cases" / "lists"
KNOWN = ["AAPL", "MSFT", "NVDA", "TSLA", "XOM", "BRK.B", "BTC/USD", "EURUSD=X", "^GSPC"]
TECH = {"Tech": "AAPL MSFT"}


def read(text: str, name: str = "Imported") -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Returns the symbols of each list, and the refused lines."""
    imported = read_lists(text, KNOWN, name)
    lists = {each.name: " ".join(each.symbols) for each in imported.lists}
    return lists, [(refusal.line, refusal.reason) for refusal in imported.refusals]


@pytest.mark.parametrize(
    ("file", "lists", "refused"),
    [
        ("semicolon.csv", TECH, []),
        ("tabs.tsv", TECH, []),
        ("semicolon-bom.csv", {"Tech": "AAPL"}, []),
        ("header-title-case.csv", {"Tech": "AAPL"}, []),
        ("comment-lines.csv", {"Tech": "AAPL"}, []),
        ("bare-quote-mid.csv", TECH, []),
        ("list-blank-cells.csv", {"Tech": "AAPL"}, [3, 4]),
        ("ragged.csv", {"Tech": "AAPL"}, [2, 4]),
        ("emoji.csv", {"🚀 Moon": "AAPL", "👨‍👩‍👧 family": "MSFT", "🇩🇪 DE": "NVDA", "❤️ love": "TSLA"}, []),
        ("nfc-nfd.csv", {"Café": "AAPL MSFT"}, []),
        ("empty.csv", {}, []),
        ("lists20.csv", {f"L{number}": "AAPL" for number in range(MAX_LISTS)}, []),
        ("plain-symbols.txt", {"plain-symbols": "AAPL MSFT NVDA"}, []),
        ("plain-oneline.txt", {"plain-oneline": "AAPL MSFT NVDA TSLA"}, []),
        ("tv-lines.txt", {"tv-lines": "AAPL MSFT BRK.B"}, []),
        ("tv-sections.txt", {"TECH": "AAPL MSFT NVDA", "FINANCE": "BRK.B XOM"}, []),
        ("yahoo-quotes.csv", {"yahoo-quotes": "AAPL BRK.B BTC/USD"}, []),
    ],
)
def test_a_file_gives_the_lists_that_its_owner_means(file, lists, refused):
    text = (CASES / file).read_bytes().decode("utf-8-sig")
    found, refusals = read(text, name_of_file(file))
    assert found == lists
    assert [line for line, _ in refusals] == refused


@pytest.mark.parametrize(
    ("spelling", "symbol"),
    [
        ("NASDAQ:AAPL", "AAPL"),
        (" aapl ", "AAPL"),
        ("$AAPL", "AAPL"),
        ("AAPL.US", "AAPL"),
        ("AAPL US Equity", "AAPL"),
        ("ＡＡＰＬ", "AAPL"),
        ("\u200eAAPL\u200f", "AAPL"),
        ("BRK-B", "BRK.B"),
        ("BRK/B", "BRK.B"),
        ("NYSE:BRK.B", "BRK.B"),
        ("BTC-USD", "BTC/USD"),
        ("BINANCE:BTCUSDT", "BTC/USD"),
        ("COINBASE:BTCUSD", "BTC/USD"),
        ("FX:EURUSD", "EURUSD=X"),
        ("EUR/USD", "EURUSD=X"),
        ("^GSPC", "^GSPC"),
        ("AAPLX", None),
        ("", None),
        (":", None),
        ("a\u0301" * 100_000, None),
    ],
)
def test_spellings_of_other_programs_are_understood(spelling, symbol):
    assert find_symbol(spelling, KNOWN) == symbol


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("sep=;\nlist;symbol\nTech;AAPL\nTech;MSFT", TECH),
        ('"sep=\t"\nlist\tsymbol\nTech\tAAPL\nTech\tMSFT', TECH),
        ("list|symbol\nTech|AAPL\nTech|MSFT", TECH),
        ("Tech;AAPL;1,5\nTech;MSFT;2,5", TECH),
        ("Ticker,Shares\nAAPL,3\nMSFT,4", {"Imported": "AAPL MSFT"}),
        ("Instrument;Portfolio Name\nAAPL;Tech\nMSFT;Tech", TECH),
        ("AAPL MSFT\nNVDA", {"Imported": "AAPL MSFT NVDA"}),
        ("\n\n# mine\nAAPL\n\nMSFT", {"Imported": "AAPL MSFT"}),
        ('list,symbol\n"Tech, big",AAPL', {"Tech, big": "AAPL"}),
        ("list,symbol\n#1 picks,AAPL\n# a comment\n#2,MSFT", {"#1 picks": "AAPL", "#2": "MSFT"}),
        ("list,symbol\rTech,AAPL\rTech,MSFT", TECH),
        ("###\nAAPL", {"Imported": "AAPL"}),
        ("list,symbol\nEmpty,\nTech,AAPL", {"Empty": "", "Tech": "AAPL"}),
    ],
)
def test_separators_headers_and_plain_lists_are_recognized(text, lists):
    assert read(text) == (lists, [])


@pytest.mark.parametrize(
    ("text", "lists", "refusals"),
    [
        ('Tech,"AAPL\nTech,MSFT', {"Tech": "MSFT"}, [(1, "A quotation mark is not closed in this line.")]),
        ('"\nTech,AAPL\nTech,MSFT', TECH, [(1, "A quotation mark is not closed in this line.")]),
        ("AAPL\nNOPE\nMSFT", {"Imported": "AAPL MSFT"}, [(2, "No ticker is called NOPE.")]),
        ("AAPL,1\nNOPE,AAPL", {"Imported": "AAPL"}, [
            (1, "No ticker is called 1."), (2, "No ticker is called NOPE."), (2, "AAPL is already in “Imported”."),
        ]),
        ("NASDAQ:NOPE,NASDAQ:AAPL", {"Imported": "AAPL"}, [(1, "No ticker is called NASDAQ:NOPE.")]),
        ("Symbol,Price\nAAPL,1\n,2", {"Imported": "AAPL"}, [(3, "This line has no symbol.")]),
        ("Price,Symbol\n1", {}, [(2, "This line is too short.")]),
        ("x" * 200_000, {}, [(1, "This line is too long.")]),
        ('"' + "x" * 200_000 + '"', {}, [(1, "This line is too long.")]),
        ("x" * 2_000, {}, [(1, "No ticker is called " + "X" * 20 + ".")]),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named_and_refuses_nothing_else(text, lists, refusals):
    assert read(text) == (lists, refusals)


def test_a_line_of_too_many_symbols_is_refused_once():
    _, refusals = read("AAPL," * (MAX_LINES + 10))
    assert refusals[-1] == (1, f"The file has more than {MAX_LINES} symbols.")
    assert len(refusals) == MAX_LINES


@given(st.text(alphabet=st.sampled_from('",;\t|#\n\rA x'), max_size=80))
def test_every_line_is_read_or_is_part_of_a_quoted_cell(text):
    numbers = [line.number for line in read_cells(split_lines(text))]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("cells", [[], ["Tech", "AAPL"], ["list"], ["name", "price"], ["x" * 100_000]])
def test_other_lines_are_no_header(cells):
    assert find_columns(cells) is None


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("My tech.csv", "My tech"),
        ("noending", "noending"),
        (".csv", "Imported"),
        ("a\u202eb.csv", "ab"),
        ("x" * 99 + ".csv", "x" * 40),
    ],
)
def test_a_list_is_named_after_its_file(file, name):
    assert name_of_file(file) == name


OWN = UserLists((NamedList(1, "Main", ("AAPL",)), NamedList(2, "Coins")))


def test_lists_are_appended_under_names_of_their_own():
    new = [NamedList(0, "main", ("MSFT",)), NamedList(0, "Main", ("AAPL",)), NamedList(0, "Tech", ("AAPL",))]
    lists, names, left_out = append_lists(OWN, new)
    assert names == ["main 2", "Tech"]
    assert [each.name for each in lists.lists] == ["Main", "Coins", "main 2", "Tech"]
    assert left_out == []


def test_lists_without_room_are_returned():
    full = UserLists(tuple(NamedList(number, f"L{number}") for number in range(1, MAX_LISTS + 1)))
    lists, names, left_out = append_lists(full, [NamedList(0, "Tech", ("AAPL",))])
    assert (lists, names, left_out) == (full, [], [NamedList(0, "Tech", ("AAPL",))])


def test_a_long_name_is_cut_to_make_room_for_its_number():
    lists = UserLists((NamedList(1, "x" * 40), NamedList(2, "x" * 38 + " 2")))
    assert free_name("x" * 40, lists) == "x" * 38 + " 3"
