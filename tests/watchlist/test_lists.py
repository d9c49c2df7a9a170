import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import ProtectedError

from watchlist.errors import AlreadyListed, ListFull, NotListed, SwitchedOff, UnknownSymbol
from watchlist.lists import MOST_SYMBOLS, SessionList, StoredList, adopt_list, list_of
from watchlist.models import Watchlist


@pytest.fixture
def session() -> SessionStore:
    return SessionStore()


@pytest.fixture(params=["account", "visitor"])
def personal(request, person, session):
    """Both kinds of list obey the same rules."""
    return list_of(person if request.param == "account" else AnonymousUser(), session)


def symbols(personal) -> list[str]:
    return [ticker.symbol for ticker in personal.tickers()]


def test_a_new_list_starts_with_the_first_twelve_active_tickers(personal, tickers):
    tickers[0].active = False
    tickers[0].save()
    assert symbols(personal) == [ticker.symbol for ticker in tickers[1:13]]


def test_looking_writes_nothing(tickers, person, session):
    StoredList(person).tickers()
    SessionList(session).tickers()
    assert not Watchlist.objects.exists()
    assert session.is_empty()
    assert not session.modified


def test_an_added_symbol_comes_last(personal, tickers):
    assert personal.add("T8").symbol == "T8"
    assert symbols(personal)[-2:] == ["T5", "T8"]
    assert len(symbols(personal)) == 13


def test_a_removed_symbol_is_gone_and_the_others_keep_their_order(personal, tickers):
    before = symbols(personal)
    personal.remove("BTC/USD")
    assert symbols(personal) == [symbol for symbol in before if symbol != "BTC/USD"]


def test_a_list_can_be_emptied_and_stays_empty(personal, tickers):
    for symbol in symbols(personal):
        personal.remove(symbol)
    assert symbols(personal) == []
    personal.add("^GSPC")
    assert symbols(personal) == ["^GSPC"]


def test_unknown_symbols_are_refused(personal, tickers):
    with pytest.raises(UnknownSymbol, match="NOPE"):
        personal.add("NOPE")


def test_a_switched_off_ticker_is_refused_but_stays_where_it_is_listed(personal, tickers):
    personal.add("T8")
    tickers[-1].active = False
    tickers[-1].save()
    assert symbols(personal)[-1] == "T8"
    personal.remove("T8")
    with pytest.raises(SwitchedOff, match="T8"):
        personal.add("T8")


def test_a_symbol_is_listed_once(personal, tickers):
    with pytest.raises(AlreadyListed, match="AAPL"):
        personal.add("AAPL")


def test_what_is_not_listed_cannot_be_removed(personal, tickers):
    with pytest.raises(NotListed):
        personal.remove("T8")


def test_a_full_list_is_refused_with_its_size(personal, make_ticker):
    for number in range(MOST_SYMBOLS + 1):
        make_ticker(f"S{number}")
    for number in range(12, MOST_SYMBOLS):
        personal.add(f"S{number}")
    with pytest.raises(ListFull, match=str(MOST_SYMBOLS)):
        personal.add(f"S{MOST_SYMBOLS}")
    assert len(symbols(personal)) == MOST_SYMBOLS


def test_a_ticker_that_no_longer_exists_leaves_a_visitors_list(tickers, session):
    visitor = SessionList(session)
    visitor.add("T8")
    tickers[-1].delete()
    assert "T8" not in symbols(visitor)


def test_a_ticker_in_an_accounts_list_cannot_be_deleted(tickers, person):
    StoredList(person).add("T8")
    with pytest.raises(ProtectedError):
        tickers[-1].delete()


def test_a_visitors_list_moves_into_a_new_account(tickers, person, session):
    SessionList(session).remove("AAPL")
    before = symbols(SessionList(session))
    adopt_list(person, session)
    assert symbols(StoredList(person)) == before
    assert not SessionList(session).stored


def test_an_accounts_own_list_wins_over_the_visitors(tickers, person, session):
    StoredList(person).add("T8")
    before = symbols(StoredList(person))
    SessionList(session).remove("AAPL")
    adopt_list(person, session)
    assert symbols(StoredList(person)) == before


def test_a_visitor_who_changed_nothing_leaves_the_account_as_it_is(tickers, person, session):
    adopt_list(person, session)
    assert not Watchlist.objects.exists()
