"""What is answered while the database is away; with real servers, tests/browser/test_outages.py."""

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connection, connections
from django.test import RequestFactory
from django.urls import reverse

from watchlist import middleware as outage
from watchlist.page import views


@pytest.fixture
def broken(monkeypatch, db):
    """Every page's first question fails as one does when no connection can be made."""

    def fail(*_):
        raise OperationalError("connection refused")

    monkeypatch.setattr(views, "read_page", fail)
    monkeypatch.setattr("watchlist.page.change_views.read_place", fail)
    monkeypatch.setattr("watchlist.api.views.ticker_of", fail)
    monkeypatch.setattr(outage, "is_away", lambda error: isinstance(error, OperationalError))


def test_a_page_says_that_lists_are_away_and_tries_again_by_itself(client, broken):
    answer = client.get("/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "3")
    assert "no-store" in answer["Cache-Control"]
    assert b"Lists are not available right now" in answer.content
    assert b'<meta http-equiv="refresh" content="3">' in answer.content


def test_a_form_says_that_nothing_was_changed_and_is_not_sent_again(client, broken):
    answer = client.post(reverse("add-symbols"), {"symbol": "AAPL"})
    assert answer.status_code == 503
    assert b"nothing was changed" in answer.content
    assert b"http-equiv" not in answer.content


def test_a_script_is_answered_in_json(client, broken):
    answer = client.get("/api/bars/AAPL")
    assert (answer.status_code, answer.json()) == (503, {"error": "the database does not answer now"})


def test_the_page_keeps_the_look_that_the_browser_knows(client, broken):
    client.cookies["look"] = "dark|blue|compact|UTC"
    assert b'data-theme="dark" data-palette="blue"' in client.get("/").content


@pytest.mark.parametrize("error", [OperationalError("refused"), InterfaceError("closed")])
def test_without_a_connection_the_database_is_away(error, monkeypatch):
    monkeypatch.setattr(connections["default"], "connection", None)
    assert outage.is_unavailable(error)


@pytest.mark.parametrize("error", [OperationalError("no such table: x"), ProgrammingError("syntax"), ValueError()])
def test_a_wrong_question_is_an_error_of_ours(error, db):
    connection.ensure_connection()
    assert not outage.is_unavailable(error)
    assert outage.DatabaseOutageMiddleware(lambda _: None).process_exception(RequestFactory().get("/"), error) is None


def test_a_database_that_is_locked_for_too_long_is_away(db):
    connection.ensure_connection()
    assert outage.is_unavailable(OperationalError("database is locked"))


def test_a_visitors_list_that_cannot_be_saved_is_no_error_of_ours(client, tickers, monkeypatch):
    def fail(*_arguments, **_options):
        raise OperationalError("database is locked")

    client.raise_request_exception = False
    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.save", fail)
    answer = client.post(reverse("add-symbols"), {"symbol": "T8"})
    assert (answer.status_code, answer["Retry-After"]) == (503, "3")
    assert b"nothing was changed" in answer.content


def test_an_error_of_ours_keeps_its_page(client, monkeypatch, db):
    def fail(*_):
        raise ValueError

    client.raise_request_exception = False
    monkeypatch.setattr(views, "read_page", fail)
    assert client.get("/").status_code == 500
