"""Removals in the web session."""

import pytest
from django.contrib.sessions.backends.db import SessionStore

from watchlist.lists.rules import NamedList, UserLists
from watchlist.page.undo import SESSION_KEY, DeletedList, RemovedSymbol, remember_removal, take_removal

LISTS = UserLists((NamedList(1, "Main", ("AAPL", "MSFT")), NamedList(2, "Coins")))
FUNDS = DeletedList("Funds", ("SPY",), 1)


@pytest.mark.parametrize("removal", [RemovedSymbol(1, "GOOG", 1), FUNDS])
def test_a_removal_is_taken_once(removal):
    session = SessionStore()
    remember_removal(session, removal)
    assert take_removal(session) == removal
    assert take_removal(session) is None


@pytest.mark.parametrize("stored", [{}, "symbol", {"what": "symbol"}, {"what": "other"}])
def test_a_removal_of_another_version_is_ignored(stored):
    session = SessionStore()
    session[SESSION_KEY] = stored
    assert take_removal(session) is None


@pytest.mark.parametrize("key", [1, 0])
def test_a_symbol_is_restored_at_its_position(key):
    assert RemovedSymbol(key, "GOOG", 1).restore(LISTS).lists[0].symbols == ("AAPL", "GOOG", "MSFT")


def test_a_list_is_restored_at_its_position():
    restored = FUNDS.restore(LISTS).lists
    assert [named_list.name for named_list in restored] == ["Main", "Funds", "Coins"]
    assert restored[1].symbols == ("SPY",)
