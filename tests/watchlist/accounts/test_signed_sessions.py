"""SECRET_KEY_FALLBACKS: what an old secret key has signed stays valid after a change of SECRET_KEY."""

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from tests.support.watchlist.pages import tabs_of
from tests.support.watchlist.web_sessions import open_web_session
from watchlist.accounts.tokens import SCOPES, create_token, find_token
from watchlist.alerts.delivery.stop_links import make_stop_token, read_stop_token
from watchlist.gateway.list_changes import read_versions
from watchlist.gateway.web_sessions import find_account_session
from watchlist.lists.share_links import find_shared_list, make_link
from watchlist.models import Watchlist

NEW_KEY = "the new key of the site, which is long enough and random 1234"


@pytest.fixture
def change_key(settings):
    """Returns a function that changes SECRET_KEY. The old key stays a fallback, if the test does not drop the key."""
    old = django_settings.SECRET_KEY

    def change_key(*, keep_old: bool = True) -> None:
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW_KEY, [old] if keep_old else []

    return change_key


def sign_in(client, person: User) -> str:
    """Signs a browser in. Returns the key of its web session."""
    client.cookies[django_settings.SESSION_COOKIE_NAME] = key = open_web_session(person)
    return key


def test_a_person_stays_signed_in_under_the_same_session_key(client, person, change_key):
    key = sign_in(client, person)
    change_key()
    assert client.get("/").context["user"] == person
    assert list(Session.objects.values_list("session_key", flat=True)) == [key]


def test_a_used_web_session_outlives_the_old_key(client, person, change_key):
    sign_in(client, person)
    change_key()
    client.get("/")
    change_key(keep_old=False)
    assert client.get("/").context["user"] == person


def test_without_the_old_key_a_person_is_signed_out(client, person, change_key):
    sign_in(client, person)
    change_key(keep_old=False)
    assert client.get("/").context["user"].is_anonymous


def test_an_old_key_does_not_sign_in_after_a_change_of_the_password(client, person, change_key):
    sign_in(client, person)
    person.set_password("another long phrase")
    person.save()
    change_key()
    assert client.get("/").context["user"].is_anonymous


@pytest.mark.django_db(transaction=True)
async def test_a_socket_finds_the_account_and_leaves_the_web_session_as_it_is(person, change_key):
    key = await sign_in_async(person)
    change_key()
    before = await Session.objects.aget(session_key=key)
    found = await find_account_session(key)
    assert found is not None
    assert found.account == person.pk
    after = await Session.objects.aget()
    assert (after.session_key, after.session_data) == (key, before.session_data)
    assert await read_versions([found]) == {found: {}}
    await sync_to_async(connections.close_all)()


async def sign_in_async(person: User) -> str:
    return await sync_to_async(open_web_session)(person)


def test_a_link_for_a_new_password_stays_valid(person, change_key):
    token = default_token_generator.make_token(person)
    change_key()
    assert default_token_generator.check_token(person, token)
    change_key(keep_old=False)
    assert not default_token_generator.check_token(person, token)


def test_a_link_that_stops_e_mails_stays_valid(change_key):
    token = make_stop_token(7, "ada@example.org")
    change_key()
    assert read_stop_token(token) == (7, "ada@example.org")
    change_key(keep_old=False)
    assert read_stop_token(token) is None


def test_a_visitor_keeps_the_lists_of_the_web_session(client, tickers, store, change_key):
    client.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    change_key()
    assert "Coins" in tabs_of(client.get("/"))
    change_key(keep_old=False)
    assert "Coins" not in tabs_of(client.get("/"))


def test_shared_lists_and_personal_tokens_need_no_key(person, change_key):
    link = make_link(Watchlist.objects.create(owner=person, name="Main").pk)
    token = create_token(person, "test", list(SCOPES), timezone.now())
    change_key(keep_old=False)
    assert find_shared_list(link) is not None
    assert find_token(token) is not None
