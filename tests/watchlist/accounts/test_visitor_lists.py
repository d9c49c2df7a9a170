"""A visitor's lists at sign-in and sign-up."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.urls import reverse

from tests.support.watchlist.lists import add_symbol
from tests.support.watchlist.pages import notices_of, tabs_of
from watchlist.accounts.visitor_lists import describe_left_out
from watchlist.lists.rules import MAX_LISTS, NamedList
from watchlist.lists.storage import AccountLists

PASSWORD = "a long and private phrase"
CREDENTIALS = {"username": "ada", "password": PASSWORD}


@pytest.fixture
def account(person, tickers, store) -> AccountLists:
    """An account with lists of its own."""
    add_symbol(person, "T8")
    return AccountLists(person)


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
def test_signing_in_keeps_the_visitors_lists_beside_those_of_the_account(client, account, path):
    User.objects.update(is_staff=True)
    client.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    client.post(path, CREDENTIALS)
    page = client.get("/")
    assert list(tabs_of(page)) == ["Main", "Main 2", "Coins"]
    assert "The lists from before you signed in are kept: “Main 2”, “Coins”." in notices_of(page)


def test_lists_that_were_made_after_the_session_expired_are_kept_too(client, account):
    client.post(path := "/sign-in/", CREDENTIALS)
    Session.objects.all().delete()
    client.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    client.post(path, CREDENTIALS)
    assert "Coins" in tabs_of(client.get("/"))


def test_what_has_no_room_is_said_with_its_symbols(client, account):
    for number in range(MAX_LISTS - 2):
        account.change(lambda lists, name=f"L{number}": lists.create(name))
    client.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    client.post(reverse("add-symbols"), {"symbol": "T7"})
    client.post("/sign-in/", CREDENTIALS)
    page = client.get("/")
    assert len(tabs_of(page)) == MAX_LISTS
    assert "“Coins” was not kept: you have 20 lists, which is the maximum." in notices_of(page)


def test_many_symbols_without_room_are_counted():
    named_list = NamedList(1, "Coins", tuple(f"S{number}" for number in range(14)))
    assert describe_left_out(named_list).endswith(
        " It held S0, S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11 and 2 more."
    )
