import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.errors import AlreadyListed, BadName, ListFull, NoSuchList, NotListed, TooManyLists
from watchlist.lists.rules import MAX_LISTS, MAX_NAME_LENGTH, MAX_SYMBOLS, NamedList, UserLists, check_name
from watchlist.lists.visibility import JOINERS

MAIN = NamedList(1, "Main", ("AAPL", "MSFT", "GOOG"))
LISTS = UserLists((MAIN, NamedList(2, "Coins", ("BTC/USD",)), NamedList(3, "Funds")))


def names(lists: UserLists) -> list[str]:
    return [named_list.name for named_list in lists.lists]


def test_a_symbol_is_added_last_or_at_a_position():
    assert MAIN.add("T").symbols == ("AAPL", "MSFT", "GOOG", "T")
    assert MAIN.add("T", 1).symbols == ("AAPL", "T", "MSFT", "GOOG")


def test_a_symbol_is_listed_only_once():
    with pytest.raises(AlreadyListed, match="AAPL is already in “Main”"):
        MAIN.add("AAPL")


def test_a_full_list_refuses_a_symbol_and_names_the_limit():
    full = NamedList(1, "Main", tuple(f"S{number}" for number in range(MAX_SYMBOLS)))
    with pytest.raises(ListFull, match=str(MAX_SYMBOLS)):
        full.add("T")


def test_an_unlisted_symbol_can_be_neither_removed_nor_moved():
    for change in (MAIN.remove, MAIN.index, lambda symbol: MAIN.move(symbol, 0)):
        with pytest.raises(NotListed):
            change("T")


@given(st.permutations(["A", "B", "C", "D"]), st.sampled_from("ABCD"), st.integers(-9, 9))
def test_a_move_keeps_all_symbols_and_sets_the_position(symbols, symbol, position):
    moved = NamedList(1, "Main", tuple(symbols)).move(symbol, position)
    assert sorted(moved.symbols) == ["A", "B", "C", "D"]
    assert moved.index(symbol) == max(0, min(position, 3))
    assert moved.remove(symbol).symbols == tuple(other for other in symbols if other != symbol)


def test_a_new_list_is_added_last_or_at_a_position():
    assert names(LISTS.create("New")) == ["Main", "Coins", "Funds", "New"]
    assert names(LISTS.create("New", position=1)) == ["Main", "New", "Coins", "Funds"]


def test_a_list_is_found_by_name_in_any_case():
    assert LISTS.find_by_name("cOINS") == LISTS.lists[1]
    assert LISTS.find_by_name("Other") is None


def test_a_person_has_at_most_twenty_lists():
    lists = UserLists(tuple(NamedList(number, f"L{number}") for number in range(1, MAX_LISTS + 1)))
    with pytest.raises(TooManyLists, match=str(MAX_LISTS)):
        lists.create("One more")


@pytest.mark.parametrize(
    "name",
    ["", "   ", "x" * (MAX_NAME_LENGTH + 1), "Coins", " cOINS ", "a\x00b", "a\u202eb", "e\u0301" * 90, "a\u200db"],
)
def test_bad_names_are_refused(name):
    for change in (LISTS.create, lambda name: LISTS.rename(1, name)):
        with pytest.raises(BadName):
            change(name)


def test_names_are_stored_and_compared_in_the_composed_form():
    assert names(LISTS.create("Cafe\u0301"))[-1] == "Café"
    with pytest.raises(BadName, match="already have"):
        LISTS.create("Café").create("CAFE\u0301")
    assert LISTS.create("Café").find_by_name("cafe\u0301") is not None


@pytest.mark.parametrize("name", ["👨‍👩‍👧 family", "❤️‍🔥", "می‌خواهم"])
def test_a_name_may_have_joined_emoji_and_letters(name):
    assert names(LISTS.create(name))[-1] == name


def test_a_rename_may_change_only_the_case():
    assert names(LISTS.rename(2, "COINS")) == ["Main", "COINS", "Funds"]


@given(st.text(max_size=60))
def test_an_accepted_name_is_printable_with_single_spaces(name):
    try:
        checked = check_name(name, ())
    except BadName:
        return
    assert checked.translate(dict.fromkeys(map(ord, JOINERS))).isprintable()
    assert 0 < len(checked) <= MAX_NAME_LENGTH
    assert checked == " ".join(checked.split())


@pytest.mark.parametrize(
    ("by", "order"),
    [(-9, ["Coins", "Main", "Funds"]), (-1, ["Coins", "Main", "Funds"]), (9, ["Main", "Funds", "Coins"])],
)
def test_a_list_is_shifted_at_most_to_the_end(by, order):
    assert names(LISTS.shift(2, by)) == order


def test_the_only_list_cannot_be_deleted():
    with pytest.raises(BadName, match="only list"):
        UserLists((MAIN,)).delete(1)


@pytest.mark.parametrize(
    "change", [lambda: LISTS.find(9), lambda: LISTS.delete(9), lambda: LISTS.rename(9, "X"), lambda: LISTS.shift(9, 1)]
)
def test_a_missing_list_raises_an_error(change):
    with pytest.raises(NoSuchList):
        change()
