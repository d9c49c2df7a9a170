"""Notes about the symbols of lists, and links to lists, in the API."""

import pytest

from tests.support.watchlist.pages import text_of
from tests.support.watchlist.tokens import bearer
from watchlist.lists.notes import MAX_NOTE_LENGTH
from watchlist.models import Entry, ShareLink, Watchlist

LISTS = "/api/v1/lists"
JSON = {"content_type": "application/json"}


@pytest.fixture
def headers(person, tickers, store) -> dict[str, str]:
    return bearer(person, "lists")


@pytest.fixture
def address(client, headers) -> str:
    """The address of a list with the symbols AAPL and BTC/USD."""
    body = {"name": "Coins", "symbols": ["AAPL", "BTC/USD"]}
    return client.post(LISTS, body, headers=headers, **JSON).headers["Location"]


def test_a_note_is_written_read_and_removed(client, headers, address):
    entry = f"{address}/entries/btc%2Fusd"
    changed = client.patch(entry, {"note": " sell  half ", "position": 0}, headers=headers, **JSON)
    assert (changed.status_code, changed.json()["list"]["version"]) == (200, 2)
    assert client.get(f"{address}/entries", headers=headers).json() == {
        "entries": [{"symbol": "BTC/USD", "note": "sell half"}, {"symbol": "AAPL", "note": ""}]
    }
    client.patch(entry, {"position": 1}, headers=headers, **JSON)
    assert [entry.note for entry in Entry.objects.filter(watchlist__name="Coins")] == ["", "sell half"]
    client.patch(entry, {"note": ""}, headers=headers, **JSON)
    assert not Entry.objects.exclude(note="").exists()


def test_a_change_without_values_changes_nothing(client, headers, address):
    answer = client.patch(f"{address}/entries/AAPL", {}, headers=headers, **JSON)
    assert (answer.status_code, answer.json()["list"]["version"]) == (200, 1)


@pytest.mark.parametrize("note", ["x" * (MAX_NOTE_LENGTH + 1), "x" * 5000, "\x07", "\ud800", 5])
def test_a_wrong_note_is_a_problem(client, headers, address, note):
    response = client.patch(f"{address}/entries/AAPL", {"note": note}, headers=headers, **JSON)
    assert (response.status_code, response.headers["Content-Type"]) == (422, "application/problem+json")


def test_a_note_about_an_unknown_symbol_or_with_an_old_version_is_refused(client, headers, address):
    assert client.patch(f"{address}/entries/T1", {"note": "x"}, headers=headers, **JSON).status_code == 404
    assert client.patch(f"{address}/entries/T1", {}, headers=headers, **JSON).status_code == 404
    old = headers | {"If-Match": '"7"'}
    assert client.patch(f"{address}/entries/AAPL", {"note": "x"}, headers=old, **JSON).status_code == 412


def test_a_link_is_made_replaced_and_revoked(client, headers, address):
    link = f"{address}/link"
    assert client.get(link, headers=headers).json() == {"created": None}
    first = client.post(link, headers=headers)
    assert (first.status_code, first.headers["Cache-Control"]) == (201, "no-store")
    assert "Coins" in text_of(client.get(first.json()["address"]))
    assert client.get(link, headers=headers).json()["created"] > 1_766_480_000_000_000
    second = client.post(link, headers=headers)
    assert client.get(first.json()["address"]).status_code == 404
    assert client.get(second.json()["address"]).status_code == 200
    for _ in range(2):
        assert client.delete(link, headers=headers).status_code == 204
    assert client.get(second.json()["address"]).status_code == 404


def test_sharing_the_example_stores_it(client, headers):
    assert client.delete(f"{LISTS}/0/link", headers=headers).status_code == 204
    assert not Watchlist.objects.exists()
    shared = client.post(f"{LISTS}/0/link", headers=headers)
    assert shared.json()["list"] == Watchlist.objects.get().pk == ShareLink.objects.get().watchlist_id


def test_a_link_needs_a_list_of_the_account_and_its_version(client, headers, address):
    for method in (client.get, client.post, client.delete):
        assert method(f"{LISTS}/999/link", headers=headers).status_code == 404
    old = headers | {"If-Match": '"7"'}
    for method in (client.post, client.delete):
        assert method(f"{address}/link", headers=old).status_code == 412
    assert not ShareLink.objects.exists()
