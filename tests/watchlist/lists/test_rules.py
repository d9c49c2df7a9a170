import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.errors import AlreadyListed, BadName, ListFull, NoSuchList, NotListed, TooManyLists
from watchlist.lists.rules import LONGEST_NAME, MOST_LISTS, MOST_SYMBOLS, NamedList, UserLists, check_name

MAIN = NamedList(1, "Main", ("AAPL", "MSFT", "GOOG"))
BOOK = UserLists((MAIN, NamedList(2, "Coins", ("BTC/USD",)), NamedList(3, "Funds")))


def names(book: UserLists) -> list[str]:
    return [named.name for named in book.lists]


def test_a_symbol_comes_last_or_where_it_was():
    assert MAIN.add("T").symbols == ("AAPL", "MSFT", "GOOG", "T")
    assert MAIN.add("T", 1).symbols == ("AAPL", "T", "MSFT", "GOOG")


def test_a_symbol_is_listed_once():
    with pytest.raises(AlreadyListed, match="AAPL is in “Main” already"):
        MAIN.add("AAPL")


def test_a_full_list_says_how_much_it_holds():
    full = NamedList(1, "Main", tuple(f"S{number}" for number in range(MOST_SYMBOLS)))
    with pytest.raises(ListFull, match=str(MOST_SYMBOLS)):
        full.add("T")


def test_what_is_not_listed_is_neither_removed_nor_moved():
    for change in (MAIN.remove, MAIN.index, lambda symbol: MAIN.move(symbol, 0)):
        with pytest.raises(NotListed):
            change("T")


@given(st.permutations(["A", "B", "C", "D"]), st.sampled_from("ABCD"), st.integers(-9, 9))
def test_a_move_loses_nothing_and_lands_where_it_was_sent(symbols, symbol, to):
    moved = NamedList(1, "Main", tuple(symbols)).move(symbol, to)
    assert sorted(moved.symbols) == ["A", "B", "C", "D"]
    assert moved.index(symbol) == max(0, min(to, 3))
    assert moved.remove(symbol).symbols == tuple(other for other in symbols if other != symbol)


def test_a_new_list_comes_last_or_where_it_was():
    assert names(BOOK.open("New")) == ["Main", "Coins", "Funds", "New"]
    assert names(BOOK.open("New", at=1)) == ["Main", "New", "Coins", "Funds"]


def test_twenty_lists_are_the_most():
    book = UserLists(tuple(NamedList(number, f"L{number}") for number in range(1, MOST_LISTS + 1)))
    with pytest.raises(TooManyLists, match=str(MOST_LISTS)):
        book.open("One more")


@pytest.mark.parametrize("name", ["", "   ", "x" * (LONGEST_NAME + 1), "Coins", " cOINS ", "a\x00b", "a\u202eb"])
def test_bad_names_are_refused(name):
    for change in (BOOK.open, lambda name: BOOK.rename(1, name)):
        with pytest.raises(BadName):
            change(name)


def test_a_list_may_be_renamed_to_the_same_name_in_other_letters():
    assert names(BOOK.rename(2, "COINS")) == ["Main", "COINS", "Funds"]


@given(st.text(max_size=60))
def test_a_name_that_passes_has_single_spaces_and_prints(name):
    try:
        checked = check_name(name, ())
    except BadName:
        return
    assert checked.isprintable()
    assert 0 < len(checked) <= LONGEST_NAME
    assert checked == " ".join(checked.split())


@pytest.mark.parametrize(
    ("by", "order"),
    [(-9, ["Coins", "Main", "Funds"]), (-1, ["Coins", "Main", "Funds"]), (9, ["Main", "Funds", "Coins"])],
)
def test_a_list_is_shifted_as_far_as_there_is_room(by, order):
    assert names(BOOK.shift(2, by)) == order


def test_the_only_list_stays():
    with pytest.raises(BadName, match="only list"):
        UserLists((MAIN,)).delete(1)


@pytest.mark.parametrize(
    "change", [lambda: BOOK.find(9), lambda: BOOK.delete(9), lambda: BOOK.rename(9, "X"), lambda: BOOK.shift(9, 1)]
)
def test_a_list_that_is_gone_is_said_to_be(change):
    with pytest.raises(NoSuchList):
        change()
