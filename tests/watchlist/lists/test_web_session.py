"""Web sessions under concurrent requests."""

from datetime import timedelta

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from tests.support.watchlist.pages import rows_of
from watchlist.errors import SessionEnded
from watchlist.lists.storage import VisitorLists
from watchlist.lists.web_session import SessionStore, merge_changes

pytestmark = pytest.mark.django_db


@pytest.fixture
def open_session(tickers):
    """Returns a function that reads the session of one visitor, as each request does."""
    stored = SessionStore()
    VisitorLists(stored).change(lambda lists: lists.replace(lists.lists[0].remove("AAPL")))

    def open_session() -> SessionStore:
        session = SessionStore(stored.session_key)
        session.get("lists")
        return session

    return open_session


def add(session: SessionStore, symbol: str) -> None:
    VisitorLists(session).change(lambda lists: lists.replace(lists.lists[0].add(symbol)))


def test_requests_that_read_the_session_together_keep_each_others_changes(open_session):
    sessions = [open_session() for _ in range(3)]
    for session, symbol in zip(sessions, ["T6", "T7", "T8"], strict=True):
        add(session, symbol)
    for session in sessions:
        session["other"] = session.session_key
        session.save()
    assert VisitorLists(open_session()).read().lists[0].symbols[-3:] == ("T6", "T7", "T8")


def test_a_session_is_read_until_it_expires(open_session):
    key = open_session().session_key
    Session.objects.filter(session_key=key).update(expire_date=timezone.now() + timedelta(minutes=1))
    assert "lists" in SessionStore(key)
    Session.objects.filter(session_key=key).update(expire_date=timezone.now() - timedelta(seconds=1))
    expired = SessionStore(key)
    assert "lists" not in expired
    assert expired.session_key is None  # a new key is made when something is stored
    unknown = SessionStore("k" * 32)
    assert (dict(unknown.items()), unknown.session_key) == ({}, None)


def test_a_key_that_another_request_removed_stays_removed(open_session):
    first, second = open_session(), open_session()
    del first["lists"]
    first.save()
    second["other"] = 1
    second.save()
    assert dict(open_session().items()) == {"other": 1}


def test_a_change_of_a_session_that_another_tab_deleted_is_refused(open_session):
    first, second = open_session(), open_session()
    first.flush()
    with pytest.raises(SessionEnded, match="Nothing was changed"):
        add(second, "T8")
    with pytest.raises(UpdateError):
        second.save()
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("before", "own", "stored", "merged"),
    [
        ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}),
        ({"a": 1}, {"a": 1}, {"a": 3}, {"a": 3}),
        ({"a": 1}, {}, {"a": 1, "b": 2}, {"b": 2}),
        ({"a": 1}, {}, {}, {}),
    ],
)
def test_only_own_changes_are_written(before, own, stored, merged):
    assert merge_changes(before, own, stored) == merged


def days_left() -> float:
    return (Session.objects.get().expire_date - timezone.now()) / timedelta(days=1)


@pytest.mark.parametrize(("left", "expected"), [(1, 14), (12.9, 14), (13.5, 13.5)])
def test_looking_at_the_page_prolongs_the_session_once_a_day(client, tickers, store, left, expected):
    client.post(reverse("add-symbols"), {"symbol": "T8"})
    Session.objects.update(expire_date=timezone.now() + timedelta(days=left))
    response = client.get("/")
    assert rows_of(response)[-1] == "T8"
    assert days_left() == pytest.approx(expected, abs=0.01)
    assert ("sessionid" in response.cookies) == (expected == 14)


@pytest.mark.parametrize(("hours_left", "expected"), [(1, 12), (5.9, 12), (6.1, 6.1)])
def test_a_use_prolongs_a_session_of_hours_after_half_its_age(client, tickers, store, settings, hours_left, expected):
    settings.SESSION_COOKIE_AGE = 12 * 3600
    client.post(reverse("add-symbols"), {"symbol": "T8"})
    Session.objects.update(expire_date=timezone.now() + timedelta(hours=hours_left))
    client.get("/")
    assert days_left() * 24 == pytest.approx(expected, abs=0.05)


def test_a_visit_without_a_session_creates_none(client, tickers, store):
    client.get("/")
    assert not Session.objects.exists()
