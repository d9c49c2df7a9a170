"""Changes in the web session that can be undone."""

import pytest
from django.contrib.sessions.backends.base import SessionBase

from watchlist.lists.rules import NamedList, UserLists
from watchlist.page.undo import (
    KEY_PREFIX,
    MAX_KEPT_SYMBOLS,
    MAX_UNDOS,
    ChangedLists,
    DeletedList,
    RemovedSymbol,
    compare_lists,
    find_undo,
    forget_undo,
    read_undos,
    remember_undo,
)

MAIN, COINS = NamedList(1, "Main", ("AAPL", "MSFT")), NamedList(2, "Coins")
LISTS = UserLists((MAIN, COINS))
FUNDS = DeletedList("Funds", ("SPY",), 1)
REMOVED = RemovedSymbol(1, "GOOG", 1)
REPLACED = ChangedLists("The import was undone.", (), ())


@pytest.fixture
def session() -> SessionBase:
    session = SessionBase()
    session._session_cache = {}
    return session


@pytest.mark.parametrize("change", [REMOVED, FUNDS, compare_lists("Done.", LISTS, UserLists((COINS,)))])
def test_a_change_is_kept_until_it_is_forgotten(session, change):
    remember_undo(session, "7", "Removed.", change, 1)
    [undo] = read_undos(session, "7")
    assert (undo.change, undo.sentence) == (change, "Removed.")
    assert find_undo(session, "7", undo.id) == find_undo(session, "7", "") == undo
    assert find_undo(session, "0", undo.id) is None
    forget_undo(session, undo.id)
    assert find_undo(session, "7", undo.id) is None


def test_the_newest_changes_are_kept(session):
    for at in range(MAX_UNDOS + 3):
        remember_undo(session, "7", "Removed.", REMOVED, at)
    assert [undo.at for undo in read_undos(session, "7")] == list(range(MAX_UNDOS + 2, 2, -1))


def test_the_size_of_all_changes_is_limited_and_the_newest_is_always_kept(session):
    large = DeletedList("Large", ("X",) * MAX_KEPT_SYMBOLS, 0)
    for at in range(3):
        remember_undo(session, "7", "Removed.", large, at)
    assert [undo.at for undo in read_undos(session, "7")] == [2]


@pytest.mark.parametrize("stored", [{}, "symbol", {"what": "symbol"}, None])
def test_a_change_of_another_version_is_ignored(session, stored):
    session[KEY_PREFIX + "x"] = stored
    assert read_undos(session, "7") == []


@pytest.mark.parametrize("key", [1, 0])
def test_a_symbol_is_restored_at_its_position(key):
    assert RemovedSymbol(key, "GOOG", 1).restore(LISTS).lists[0].symbols == ("AAPL", "GOOG", "MSFT")


def test_a_list_is_restored_at_its_position():
    restored = FUNDS.restore(LISTS).lists
    assert [named_list.name for named_list in restored] == ["Main", "Funds", "Coins"]
    assert restored[1].symbols == ("SPY",)


def test_a_list_is_restored_under_another_name_if_its_name_is_taken():
    assert [each.name for each in DeletedList("main", (), 0).restore(LISTS).lists] == ["main 2", "Main", "Coins"]


def test_replaced_lists_get_their_symbols_back_and_created_lists_disappear():
    after = UserLists((NamedList(1, "Main", ("SPY",)), COINS, NamedList(3, "New", ("QQQ",))))
    assert compare_lists("Done.", LISTS, after).restore(after) == LISTS


def test_what_was_added_after_a_replacement_is_kept():
    after = UserLists((NamedList(1, "Main", ("SPY",)), COINS, NamedList(3, "New", ("QQQ",))))
    now = UserLists((NamedList(1, "Main", ("SPY", "GLD")), COINS, NamedList(3, "New", ("QQQ", "GLD"))))
    restored = compare_lists("Done.", LISTS, after).restore(now)
    assert [each.symbols for each in restored.lists] == [("AAPL", "MSFT", "GLD"), (), ("QQQ", "GLD")]


def test_the_example_that_an_import_replaced_comes_back():
    example = UserLists((NamedList(0, "Main", ("AAPL",)),))
    after = UserLists((NamedList(1, "Coins", ("BTC/USD",)),))
    assert compare_lists("Done.", example, after).restore(after) == example


def test_an_undo_never_removes_the_last_list():
    assert REPLACED.restore(LISTS) == LISTS
    assert ChangedLists("Done.", (), compare_lists("", UserLists(()), LISTS).after).restore(LISTS) == LISTS
