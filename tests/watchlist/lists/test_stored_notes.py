"""Notes in the database and in the web session."""

import pytest
from django.contrib.auth.models import AnonymousUser

from watchlist.errors import TooManyNotes
from watchlist.lists.notes import MAX_NOTE_LENGTH
from watchlist.lists.rules import UserLists
from watchlist.lists.storage import (
    MAX_VISITOR_NOTES_LENGTH,
    AccountLists,
    VisitorLists,
    move_visitor_lists,
    store_for,
)
from watchlist.lists.web_session import SessionStore
from watchlist.models import Watchlist


@pytest.fixture(params=["account", "visitor"])
def lists(request, tickers, person):
    return store_for(person if request.param == "account" else AnonymousUser(), SessionStore())


def write(symbol: str, note: str):
    return lambda lists: lists.replace(lists.lists[0].write_note(symbol, note))


def test_a_note_is_stored_and_read_with_its_list_and_its_ticker(lists):
    lists.change(write("AAPL", "sell at 250"))
    assert lists.read().lists[0].notes == {"AAPL": "sell at 250"}
    notes = {ticker.symbol: ticker.note for ticker in lists.tickers(lists.tabs()[0].key)}
    assert (notes.pop("AAPL"), set(notes.values())) == ("sell at 250", {""})
    lists.change(write("AAPL", ""))
    assert lists.read().lists[0].notes == {}


def test_a_changed_note_is_a_new_version_of_the_list(tickers, person):
    account = AccountLists(person)
    account.change(write("AAPL", "hold"))
    before = Watchlist.objects.get().version
    account.change(write("AAPL", "sell"))
    assert Watchlist.objects.get().version == before + 1


def test_a_visitors_notes_follow_to_the_account(tickers, person):
    session = SessionStore()
    VisitorLists(session).change(write("AAPL", "sell at 250"))
    move_visitor_lists(session, person)
    assert AccountLists(person).read().lists[0].notes == {"AAPL": "sell at 250"}


def test_the_notes_of_a_visitor_have_a_maximum_length_together(tickers):
    visitor = VisitorLists(SessionStore())
    count = MAX_VISITOR_NOTES_LENGTH // MAX_NOTE_LENGTH

    def fill(lists: UserLists) -> UserLists:
        for number in range(count // 10):
            symbols = [ticker.symbol for ticker in tickers[:10]]
            notes = dict.fromkeys(symbols, "x" * MAX_NOTE_LENGTH)
            lists = lists.create(f"List {number}", symbols, notes=notes)
        return lists

    visitor.change(fill)
    with pytest.raises(TooManyNotes, match="Sign up"):
        visitor.change(write("AAPL", "x"))
    assert visitor.read().lists[0].notes == {}
