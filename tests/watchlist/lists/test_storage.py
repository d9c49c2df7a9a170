from dataclasses import replace

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import ProtectedError

from watchlist.errors import BadName, NoSuchList, SessionEnded
from watchlist.lists.rules import MAX_LISTS
from watchlist.lists.storage import AccountLists, MovedLists, VisitorLists, move_visitor_lists, pick_tab, store_for
from watchlist.lists.web_session import SessionStore
from watchlist.models import Entry, Watchlist


@pytest.fixture
def session() -> SessionStore:
    return SessionStore()


@pytest.fixture(params=["account", "visitor"])
def lists(request, person, session):
    """The store of an account or a visitor; both have the same behaviour."""
    return store_for(person if request.param == "account" else AnonymousUser(), session)


def first(lists) -> list[str]:
    return [ticker.symbol for ticker in lists.tickers(lists.tabs()[0].key)]


def names(lists) -> list[str]:
    return [tab.name for tab in lists.tabs()]


def add(lists, symbol: str) -> None:
    lists.change(lambda current: current.replace(current.lists[0].add(symbol)))


def remove(lists, symbol: str) -> None:
    lists.change(lambda current: current.replace(current.lists[0].remove(symbol)))


def test_a_person_starts_with_one_list_of_the_first_twelve_active_tickers(lists, tickers):
    tickers[0].active = False
    tickers[0].save()
    [tab] = lists.tabs()
    assert (tab.name, tab.count) == ("Main", 12)
    assert first(lists) == [ticker.symbol for ticker in tickers[1:13]]
    assert not lists.stored


def test_reading_writes_nothing(tickers, person, session):
    for lists in (AccountLists(person), VisitorLists(session)):
        lists.tabs()
        lists.tickers(0)
        lists.read()
    assert not Watchlist.objects.exists()
    assert session.is_empty()
    assert not session.modified


def test_a_change_is_stored(lists, tickers):
    add(lists, "T8")
    assert first(lists)[-2:] == ["T5", "T8"]
    assert lists.tabs()[0].count == 13
    assert lists.stored


def test_columns_belong_to_one_list_and_survive_other_changes(lists, tickers):
    lists.change(lambda current: current.replace(replace(current.lists[0], columns=("last", "bid"))))
    lists.change(lambda current: current.create("Coins", ["BTC/USD"]))
    add(lists, "T8")
    lists.change(lambda current: current.rename(lists.tabs()[0].key, "Shares"))
    assert [tab.columns for tab in lists.tabs()] == [("last", "bid"), ()]
    assert [each.columns for each in lists.read().lists] == [("last", "bid"), ()]


def test_a_sign_in_keeps_the_columns_of_a_visitors_list(tickers, person, session):
    for user in (session, person):
        store = VisitorLists(session) if user is session else AccountLists(person)
        store.change(lambda current: current.replace(replace(current.lists[0], symbols=("AAPL",), columns=("bid",))))
    VisitorLists(session).change(lambda current: current.create("Coins", ["BTC/USD"], columns=("ask",)))
    move_visitor_lists(session, person)
    assert {tab.name: tab.columns for tab in AccountLists(person).tabs()} == {"Main": ("bid",), "Coins": ("ask",)}


def test_a_refused_change_stores_nothing(lists, tickers):
    with pytest.raises(BadName):
        lists.change(lambda current: current.create("Coins").create(""))
    assert not lists.stored


def test_a_list_can_be_emptied_and_stays_empty(lists, tickers):
    for symbol in first(lists):
        remove(lists, symbol)
    assert first(lists) == []
    add(lists, "^GSPC")
    assert first(lists) == ["^GSPC"]


def test_lists_are_created_renamed_shifted_and_deleted(lists, tickers):
    lists.change(lambda current: current.create("Coins", ["BTC/USD"]))
    lists.change(lambda current: current.create("Funds"))
    assert names(lists) == ["Main", "Coins", "Funds"]
    coins = lists.tabs()[1].key
    lists.change(lambda current: current.rename(coins, "Crypto"))
    lists.change(lambda current: current.shift(coins, -1))
    assert names(lists) == ["Crypto", "Main", "Funds"]
    assert [ticker.symbol for ticker in lists.tickers(coins)] == ["BTC/USD"]
    lists.change(lambda current: current.delete(coins))
    assert names(lists) == ["Main", "Funds"]


def test_keys_stay_the_same_when_other_lists_change(lists, tickers):
    lists.change(lambda current: current.create("Coins"))
    main, coins = (tab.key for tab in lists.tabs())
    assert main != coins
    lists.change(lambda current: current.delete(main))
    lists.change(lambda current: current.create("Funds"))
    keys = {tab.name: tab.key for tab in lists.tabs()}
    assert keys["Coins"] == coins
    assert keys["Funds"] not in {0, coins}


def test_a_missing_list_cannot_be_picked(lists, tickers):
    assert pick_tab(lists.tabs(), None).name == "Main"
    with pytest.raises(NoSuchList):
        pick_tab(lists.tabs(), 999_999)


def test_a_deleted_ticker_disappears_from_a_visitors_list(tickers, session):
    visitor = VisitorLists(session)
    add(visitor, "T8")
    tickers[-1].delete()
    assert "T8" not in first(visitor)


def test_a_change_of_a_deleted_account_is_refused_in_a_sentence(tickers, person):
    lists = AccountLists(person)
    User.objects.all().delete()
    with pytest.raises(SessionEnded, match="account was deleted"):
        add(lists, "T8")


def test_a_ticker_in_an_accounts_list_cannot_be_deleted(tickers, person):
    add(AccountLists(person), "T8")
    with pytest.raises(ProtectedError):
        tickers[-1].delete()


def test_an_account_cannot_read_the_list_of_another(tickers, person, django_user_model):
    add(AccountLists(person), "T8")
    key = AccountLists(person).tabs()[0].key
    assert AccountLists(django_user_model.objects.create_user("bob")).tickers(key) == []


def test_a_change_raises_only_the_version_of_its_list(tickers, person):
    lists = AccountLists(person)
    lists.change(lambda current: current.create("Coins"))
    before = {tab.name: tab.version for tab in lists.tabs()}
    add(lists, "T8")
    after = {tab.name: tab.version for tab in lists.tabs()}
    assert after == {"Main": before["Main"] + 1, "Coins": before["Coins"]}


def test_entries_are_rewritten_only_if_they_changed(tickers, person):
    lists = AccountLists(person)
    lists.change(lambda current: current.create("Coins", ["BTC/USD"]))
    before = set(Entry.objects.filter(watchlist__name="Main").values_list("pk", flat=True))
    lists.change(lambda current: current.rename(current.lists[0].key, "First"))
    assert set(Entry.objects.filter(watchlist__name="First").values_list("pk", flat=True)) == before


def test_a_visitors_lists_move_into_a_new_account(tickers, person, session):
    visitor = VisitorLists(session)
    remove(visitor, "AAPL")
    visitor.change(lambda current: current.create("Coins", ["BTC/USD"]))
    before = [(each.name, each.symbols) for each in visitor.read().lists]
    move_visitor_lists(session, person)
    assert [(each.name, each.symbols) for each in AccountLists(person).read().lists] == before
    assert not VisitorLists(session).stored


def test_a_visitors_lists_become_further_lists_of_an_account(tickers, person, session):
    add(AccountLists(person), "T8")
    before = first(AccountLists(person))
    visitor = VisitorLists(session)
    remove(visitor, "AAPL")
    visitor.change(lambda current: current.create("Coins", ["BTC/USD"]))
    symbols = first(visitor)
    assert move_visitor_lists(session, person) == MovedLists(added=("Main 2", "Coins"))
    account = AccountLists(person)
    assert names(account) == ["Main", "Main 2", "Coins"]
    assert [list(each.symbols) for each in account.read().lists] == [before, symbols, ["BTC/USD"]]
    assert not visitor.stored


def test_a_visitors_lists_without_room_are_reported(tickers, person, session):
    account = AccountLists(person)
    for number in range(MAX_LISTS - 1):
        account.change(lambda current, name=f"L{number}": current.create(name))
    VisitorLists(session).change(lambda current: current.create("Coins", ["BTC/USD"]))
    moved = move_visitor_lists(session, person)
    assert [each.name for each in moved.left_out] == ["Coins"]
    assert len(names(account)) == MAX_LISTS


def test_a_visitor_without_changes_does_not_change_the_account(tickers, person, session):
    move_visitor_lists(session, person)
    assert not Watchlist.objects.exists()
