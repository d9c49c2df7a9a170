import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import ProtectedError

from watchlist.errors import BadName, NoSuchList
from watchlist.lists.storage import AccountLists, VisitorLists, adopt_lists, lists_of, pick_tab
from watchlist.models import Entry, Watchlist


@pytest.fixture
def session() -> SessionStore:
    return SessionStore()


@pytest.fixture(params=["account", "visitor"])
def shelf(request, person, session):
    """Both kinds of shelf obey the same rules."""
    return lists_of(person if request.param == "account" else AnonymousUser(), session)


def first(shelf) -> list[str]:
    return [ticker.symbol for ticker in shelf.tickers(shelf.tabs()[0].key)]


def names(shelf) -> list[str]:
    return [tab.name for tab in shelf.tabs()]


def add(shelf, symbol: str) -> None:
    shelf.change(lambda book: book.put(book.lists[0].add(symbol)))


def remove(shelf, symbol: str) -> None:
    shelf.change(lambda book: book.put(book.lists[0].remove(symbol)))


def test_everyone_starts_with_one_list_of_the_first_twelve_active_tickers(shelf, tickers):
    tickers[0].active = False
    tickers[0].save()
    [tab] = shelf.tabs()
    assert (tab.name, tab.count) == ("Main", 12)
    assert first(shelf) == [ticker.symbol for ticker in tickers[1:13]]
    assert not shelf.stored


def test_looking_writes_nothing(tickers, person, session):
    for shelf in (AccountLists(person), VisitorLists(session)):
        shelf.tabs()
        shelf.tickers(0)
        shelf.book()
    assert not Watchlist.objects.exists()
    assert session.is_empty()
    assert not session.modified


def test_a_change_is_kept(shelf, tickers):
    add(shelf, "T8")
    assert first(shelf)[-2:] == ["T5", "T8"]
    assert shelf.tabs()[0].count == 13
    assert shelf.stored


def test_a_refused_change_keeps_nothing(shelf, tickers):
    with pytest.raises(BadName):
        shelf.change(lambda book: book.open("Coins").open(""))
    assert not shelf.stored


def test_a_list_can_be_emptied_and_stays_empty(shelf, tickers):
    for symbol in first(shelf):
        remove(shelf, symbol)
    assert first(shelf) == []
    add(shelf, "^GSPC")
    assert first(shelf) == ["^GSPC"]


def test_lists_are_opened_renamed_shifted_and_deleted(shelf, tickers):
    shelf.change(lambda book: book.open("Coins", ["BTC/USD"]))
    shelf.change(lambda book: book.open("Funds"))
    assert names(shelf) == ["Main", "Coins", "Funds"]
    coins = shelf.tabs()[1].key
    shelf.change(lambda book: book.rename(coins, "Crypto"))
    shelf.change(lambda book: book.shift(coins, -1))
    assert names(shelf) == ["Crypto", "Main", "Funds"]
    assert [ticker.symbol for ticker in shelf.tickers(coins)] == ["BTC/USD"]
    shelf.change(lambda book: book.delete(coins))
    assert names(shelf) == ["Main", "Funds"]


def test_keys_stay_when_other_lists_come_and_go(shelf, tickers):
    shelf.change(lambda book: book.open("Coins"))
    main, coins = (tab.key for tab in shelf.tabs())
    assert main != coins
    shelf.change(lambda book: book.delete(main))
    shelf.change(lambda book: book.open("Funds"))
    keys = {tab.name: tab.key for tab in shelf.tabs()}
    assert keys["Coins"] == coins
    assert keys["Funds"] not in {0, coins}


def test_a_list_that_is_gone_cannot_be_picked(shelf, tickers):
    assert pick_tab(shelf.tabs(), None).name == "Main"
    with pytest.raises(NoSuchList):
        pick_tab(shelf.tabs(), 999_999)


def test_a_ticker_that_no_longer_exists_leaves_a_visitors_list(tickers, session):
    visitor = VisitorLists(session)
    add(visitor, "T8")
    tickers[-1].delete()
    assert "T8" not in first(visitor)


def test_a_ticker_in_an_accounts_list_cannot_be_deleted(tickers, person):
    add(AccountLists(person), "T8")
    with pytest.raises(ProtectedError):
        tickers[-1].delete()


def test_nobody_reads_another_accounts_list(tickers, person, django_user_model):
    add(AccountLists(person), "T8")
    key = AccountLists(person).tabs()[0].key
    assert AccountLists(django_user_model.objects.create_user("bob")).tickers(key) == []


def test_every_change_of_a_list_raises_its_version_and_no_others(tickers, person):
    shelf = AccountLists(person)
    shelf.change(lambda book: book.open("Coins"))
    before = {tab.name: tab.version for tab in shelf.tabs()}
    add(shelf, "T8")
    after = {tab.name: tab.version for tab in shelf.tabs()}
    assert after == {"Main": before["Main"] + 1, "Coins": before["Coins"]}


def test_entries_are_rewritten_only_where_they_changed(tickers, person):
    shelf = AccountLists(person)
    shelf.change(lambda book: book.open("Coins", ["BTC/USD"]))
    before = set(Entry.objects.filter(watchlist__name="Main").values_list("pk", flat=True))
    shelf.change(lambda book: book.rename(book.lists[0].key, "First"))
    assert set(Entry.objects.filter(watchlist__name="First").values_list("pk", flat=True)) == before


def test_a_visitors_lists_move_into_a_new_account(tickers, person, session):
    visitor = VisitorLists(session)
    remove(visitor, "AAPL")
    visitor.change(lambda book: book.open("Coins", ["BTC/USD"]))
    before = [(named.name, named.symbols) for named in visitor.book().lists]
    adopt_lists(person, session)
    assert [(named.name, named.symbols) for named in AccountLists(person).book().lists] == before
    assert not VisitorLists(session).stored


def test_an_accounts_own_lists_win_over_the_visitors(tickers, person, session):
    add(AccountLists(person), "T8")
    before = first(AccountLists(person))
    remove(VisitorLists(session), "AAPL")
    adopt_lists(person, session)
    assert first(AccountLists(person)) == before


def test_a_visitor_who_changed_nothing_leaves_the_account_as_it_is(tickers, person, session):
    adopt_lists(person, session)
    assert not Watchlist.objects.exists()
