"""The menu of columns: choosing, moving and keeping the columns of a list."""

import re

import pytest
from django.urls import reverse

from tests.support.watchlist.pages import text_of
from watchlist.models import Watchlist
from watchlist.page.columns import DEFAULT_KEYS


def headings_of(response) -> list[str]:
    return re.findall(r'<th scope="col" class="([\w-]+)"', text_of(response))[:-1]


def change(client, action: str, key: str, **fields):
    return client.post(reverse("change-columns"), {action: key} | fields)


@pytest.fixture(params=["account", "visitor"])
def reader(request, client, person, tickers, store):
    """A client with an account, and one without."""
    if request.param == "account":
        client.force_login(person)
    return client


def test_a_list_shows_the_default_columns_until_others_are_chosen(reader):
    assert headings_of(reader.get("/")) == list(DEFAULT_KEYS)
    change(reader, "show", "bid")
    change(reader, "hide", "open")
    change(reader, "up", "bid")
    shown = [key for key in DEFAULT_KEYS if key != "open"]
    assert headings_of(reader.get("/")) == [*shown[:-2], "bid", "low", "age"]
    change(reader, "default", "1")
    assert headings_of(reader.get("/")) == list(DEFAULT_KEYS)


def test_each_list_has_its_own_columns(reader):
    change(reader, "show", "ask")
    reader.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    reader.post(reverse("add-symbols"), {"symbol": "BTC/USD", "list": reader.get("/").context["tabs"][1].key})
    first, second = (reader.get("/", {"list": tab.key}) for tab in reader.get("/").context["tabs"])
    assert "ask" in headings_of(first)
    assert headings_of(second) == list(DEFAULT_KEYS)


def test_an_emptied_list_and_a_restored_list_keep_their_columns(reader):
    change(reader, "show", "ask")
    reader.post(reverse("change-tabs"), {"do": "clear"})
    reader.post(reverse("change-tabs"), {"do": "example"})
    assert "ask" in headings_of(reader.get("/"))
    reader.post(reverse("change-tabs"), {"do": "open", "name": "Other"})
    reader.post(reverse("change-tabs"), {"do": "delete", "list": reader.get("/").context["tabs"][0].key})
    reader.post(reverse("undo"))
    assert "ask" in headings_of(reader.get("/"))


def test_the_menu_stays_open_without_scripts_and_not_with_htmx(client, tickers, store):
    response = change(client, "show", "bid", sort="-last")
    assert response.url == "/?sort=-last&columns=open"
    assert '<details class="menu" id="columns-menu" open>' in text_of(client.get(response.url))
    assert '<details class="menu" id="columns-menu">' in text_of(client.get("/"))
    headers = {"HX-Request": "true"}
    assert client.post(reverse("change-columns"), {"hide": "bid"}, headers=headers).url == "/"


@pytest.mark.parametrize("fields", [{}, {"show": "nonsense"}, {"show": "x" * 10_000}, {"up": "\x00"}, {"hide": "age"}])
def test_an_unknown_column_or_action_changes_nothing(reader, fields):
    reader.post(reverse("change-columns"), fields)
    assert headings_of(reader.get("/")) == list(DEFAULT_KEYS)


def test_a_list_that_was_deleted_gets_a_sentence(client, tickers, store):
    response = client.post(reverse("change-columns"), {"show": "bid", "list": "77"}, follow=True)
    assert "This list no longer exists" in text_of(response)


def test_a_sort_by_a_hidden_column_is_ignored(client, tickers, store):
    assert 'aria-sort="ascending"' not in text_of(client.get("/", {"sort": "bid"}))
    change(client, "show", "bid")
    assert 'aria-sort="ascending"' in text_of(client.get("/", {"sort": "bid"}))


def test_the_52_week_range_is_read_only_if_it_is_shown(client, tickers, put_hour):
    put_hour("AAPL", [1.0, 3.0], 29_000_000)
    assert "data-year-low" not in text_of(client.get("/"))
    change(client, "show", "year-range")
    assert 'data-year-low="1.0" data-year-high="3.0"' in text_of(client.get("/"))


def test_a_change_of_columns_is_a_new_version_of_the_list(client, person, tickers, store):
    client.force_login(person)
    change(client, "show", "bid")
    before = Watchlist.objects.get().version
    change(client, "show", "ask")
    assert Watchlist.objects.get().version == before + 1
