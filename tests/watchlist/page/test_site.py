"""Routes, error pages and static files."""

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.views.defaults import server_error

from tests.support.watchlist.pages import text_of
from watchlist.page import site


@pytest.mark.parametrize(
    "name", ["add-symbols", "change-list", "change-tabs", "undo", "sign-out", "change-look", "import"]
)
def test_changes_require_a_post(client, db, name):
    assert client.get(reverse(name)).status_code == 405


@pytest.mark.parametrize(
    "name", ["add-symbols", "change-list", "change-tabs", "undo", "sign-out", "sign-in", "sign-up", "import"]
)
def test_a_post_without_the_csrf_token_gets_the_page_for_expired_forms(db, name):
    response = Client(enforce_csrf_checks=True).post(reverse(name), {"symbol": "AAPL"})
    assert response.status_code == 403
    assert "This form has expired" in text_of(response)


def test_an_unknown_address_gets_the_404_page(client, db):
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "Page not found" in text_of(response)


def test_a_page_that_needs_no_database_shows_no_label_without_it(client, db, monkeypatch):
    def fail():
        raise OperationalError("connection refused")

    monkeypatch.setattr(site, "served_sources", fail)
    html = text_of(client.get("/nowhere/"))
    assert "<title>Page not found · stockwatch</title>" in html
    assert ">Not investment advice." in html


def test_the_error_page_needs_no_database(rf):
    response = server_error(rf.get("/"))
    assert response.status_code == 500
    assert "Something went wrong" in text_of(response)


def test_the_favicon_redirects_to_the_icon(client):
    location = client.get("/favicon.ico").headers["Location"]
    assert client.get(location).headers["Content-Type"] == "image/svg+xml"


@pytest.mark.parametrize(
    "path", ["/static/watchlist/main.js", "/static/watchlist/page.css", "/static/admin/css/base.css"]
)
def test_static_files_are_served_without_collectstatic_and_revalidated(client, path):
    response = client.get(path)
    assert response.status_code == 200
    assert "max-age=0" in response.headers["Cache-Control"]
    again = client.get(path, headers={"If-Modified-Since": response.headers["Last-Modified"]})
    assert again.status_code == 304


def test_a_page_names_its_account_so_that_pages_of_two_accounts_share_no_stream(client, person):
    assert "data-account" not in text_of(client.get("/sign-in/"))
    client.force_login(person)
    assert f'data-account="{person.pk}"' in text_of(client.get("/"))
