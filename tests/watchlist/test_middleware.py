"""Responses while the database is unavailable. tests/browser/test_outages.py tests it with real servers."""

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connection, connections
from django.test import RequestFactory
from django.urls import reverse

from watchlist import middleware
from watchlist.page import views


@pytest.fixture
def broken(monkeypatch, db):
    """Makes the first query of every page fail like a failed connection."""

    def fail(*_):
        raise OperationalError("connection refused")

    monkeypatch.setattr(views, "read_page", fail)
    monkeypatch.setattr("watchlist.page.change_views.read_position", fail)
    monkeypatch.setattr("watchlist.api.views.find_ticker", fail)
    monkeypatch.setattr(middleware, "is_outage", lambda error: isinstance(error, OperationalError))


def test_a_page_explains_the_outage_and_reloads_itself(client, broken):
    response = client.get("/")
    assert (response.status_code, response["Retry-After"]) == (503, "3")
    assert "no-store" in response["Cache-Control"]
    assert b"Lists are not available right now" in response.content
    assert b'<meta http-equiv="refresh" content="3">' in response.content


def test_a_form_states_that_nothing_was_changed_and_is_not_sent_again(client, broken):
    response = client.post(reverse("add-symbols"), {"symbol": "AAPL"})
    assert response.status_code == 503
    assert b"nothing was changed" in response.content
    assert b"http-equiv" not in response.content


def test_a_script_gets_json(client, broken):
    response = client.get("/api/bars/AAPL")
    assert (response.status_code, response.json()) == (503, {"error": "the database is unavailable"})


def test_the_page_has_the_appearance_of_the_cookie(client, broken):
    client.cookies["look"] = "dark|blue|compact|UTC"
    assert b'data-theme="dark" data-palette="blue"' in client.get("/").content


@pytest.mark.parametrize("error", [OperationalError("refused"), InterfaceError("closed")])
def test_an_error_without_a_connection_is_an_outage(error, monkeypatch):
    monkeypatch.setattr(connections["default"], "connection", None)
    assert middleware.is_outage(error)


@pytest.mark.parametrize("error", [OperationalError("no such table: x"), ProgrammingError("syntax"), ValueError()])
def test_a_faulty_query_is_not_an_outage(error, db):
    connection.ensure_connection()
    assert not middleware.is_outage(error)
    assert (
        middleware.DatabaseOutageMiddleware(lambda _: None).process_exception(RequestFactory().get("/"), error) is None
    )


def test_a_lock_timeout_is_an_outage(db):
    connection.ensure_connection()
    assert middleware.is_outage(OperationalError("database is locked"))


def test_a_session_that_cannot_be_saved_is_an_outage(client, tickers, monkeypatch):
    def fail(*_arguments, **_options):
        raise OperationalError("database is locked")

    client.raise_request_exception = False
    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.save", fail)
    response = client.post(reverse("add-symbols"), {"symbol": "T8"})
    assert (response.status_code, response["Retry-After"]) == (503, "3")
    assert b"nothing was changed" in response.content


def test_another_error_gets_the_error_page(client, monkeypatch, db):
    def fail(*_):
        raise ValueError

    client.raise_request_exception = False
    monkeypatch.setattr(views, "read_page", fail)
    assert client.get("/").status_code == 500
