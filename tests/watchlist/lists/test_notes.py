"""Notes about symbols: the rules, and what happens to them when lists change or are merged."""

from dataclasses import replace

import pytest

from watchlist.errors import BadNote, NotListed
from watchlist.lists.merging import append_lists, merge_lists
from watchlist.lists.notes import MAX_NOTE_LENGTH, MAX_TYPED_LENGTH, check_note
from watchlist.lists.rules import MAX_LISTS, NamedList, UserLists

MAIN = NamedList(1, "Main", ("AAPL", "MSFT"), notes={"AAPL": "sell at 250"})


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("", ""),
        ("  sell \n at\t250 ", "sell at 250"),
        ("<b>'=1+1", "<b>'=1+1"),
        ("x" * MAX_NOTE_LENGTH, "x" * MAX_NOTE_LENGTH),
        (" " * (MAX_TYPED_LENGTH - 1) + "x", "x"),
        ("👩\u200d💻 می\u200cخواهم", "👩\u200d💻 می\u200cخواهم"),
    ],
)
def test_a_note_is_one_line_with_single_spaces(text, note):
    assert check_note(text) == note


@pytest.mark.parametrize("text", ["x" * (MAX_NOTE_LENGTH + 1), " " * (MAX_TYPED_LENGTH + 1), "x" * 1_000_000])
def test_a_note_that_is_too_long_is_refused_with_its_length(text):
    with pytest.raises(BadNote, match="A note can have 200 characters"):
        check_note(text)


@pytest.mark.parametrize("text", ["a\x00b", "a\u202eb", "a\u200db", "\ud800"])
def test_a_note_with_invisible_characters_is_refused(text):
    with pytest.raises(BadNote, match="invisible"):
        check_note(text)


def test_a_note_is_written_replaced_and_removed():
    noted = MAIN.write_note("MSFT", " wait  ").write_note("AAPL", "hold")
    assert noted.notes == {"AAPL": "hold", "MSFT": "wait"}
    assert noted.write_note("AAPL", " ").notes == {"MSFT": "wait"}
    with pytest.raises(NotListed):
        MAIN.write_note("GOOG", "hold")


def test_a_note_stays_when_its_symbol_is_moved_and_goes_with_it():
    assert MAIN.move("AAPL", 1).notes == MAIN.notes
    assert MAIN.remove("MSFT").notes == MAIN.notes
    assert MAIN.remove("AAPL").notes == {}
    assert MAIN.remove("AAPL").add("AAPL").notes == {}
    assert MAIN.remove("AAPL").add("AAPL", 0, "sell at 250") == MAIN
    assert replace(MAIN, symbols=()).notes == {}


def test_a_list_is_created_with_notes_about_its_symbols_only():
    created = UserLists((MAIN,)).create("Coins", ["BTC/USD"], notes={"BTC/USD": "hold", "AAPL": "x"}).lists[1]
    assert created.notes == {"BTC/USD": "hold"}


@pytest.mark.parametrize(("replaces", "note"), [(False, "sell at 250"), (True, "buy")])
def test_an_import_replaces_a_note_only_if_it_replaces_the_list(replaces, note):
    new = NamedList(0, "main", ("AAPL", "GOOG"), notes={"AAPL": "buy", "GOOG": "new"})
    lists, problems = merge_lists(UserLists((MAIN,)), [new], replaces)
    assert (lists.lists[0].notes, problems) == ({"AAPL": note, "GOOG": "new"}, [])


def test_an_import_without_notes_keeps_the_notes_of_the_list():
    lists, _ = merge_lists(UserLists((MAIN,)), [NamedList(0, "Main", ("AAPL",))], replace=True)
    assert lists.lists[0].notes == MAIN.notes


def test_an_imported_list_keeps_its_notes():
    lists, _ = merge_lists(UserLists((NamedList(2, "Coins"),)), [MAIN], replace=False)
    assert lists.lists[1].notes == MAIN.notes


def test_a_visitors_notes_are_added_to_an_equal_list_of_the_account():
    visitors = replace(MAIN, notes={"AAPL": "sell at 250", "MSFT": "wait"})
    lists, added, left_out = append_lists(UserLists((MAIN,)), [visitors])
    assert ([each.notes for each in lists.lists], added, left_out) == ([visitors.notes], [], [])


def test_a_visitors_list_with_another_note_about_a_symbol_becomes_a_list_of_its_own():
    visitors = replace(MAIN, notes={"AAPL": "buy"})
    lists, added, _ = append_lists(UserLists((MAIN,)), [visitors])
    assert [each.notes for each in lists.lists] == [MAIN.notes, visitors.notes]
    assert added == ["Main 2"]


def test_a_full_account_takes_the_notes_of_an_equal_list():
    full = UserLists((replace(MAIN, notes={}), *(NamedList(key, f"List {key}") for key in range(2, MAX_LISTS + 1))))
    lists, _, left_out = append_lists(full, [MAIN])
    assert (lists.lists[0].notes, left_out) == (MAIN.notes, [])
