import pytest
from django.urls import reverse

from watchlist.accounts.page_owner import HEADER
from watchlist.models import Watchlist

ENDED = "Your session has ended. Sign in again to see your lists."


def from_page_of(owner: str) -> dict:
    """Returns the arguments of a request from a page of this owner."""
    return {"headers": {HEADER: owner, "HX-Request": "true"}}


@pytest.mark.parametrize("route", ["add-symbols", "change-list", "change-tabs", "undo"])
def test_a_change_from_the_page_of_a_signed_out_account_is_not_made(client, tickers, store, person, route: str):
    response = client.post(reverse(route), {"symbol": "AAPL"}, **from_page_of(str(person.pk)))
    assert response.headers["HX-Redirect"] == reverse("watchlist")
    page = client.get("/").content.decode()
    assert page.count(f"Nothing was changed. {ENDED}") == 1
    assert not Watchlist.objects.exists()


@pytest.mark.parametrize("path", ["/", "/?list=7", "/s/AAPL"])
def test_a_read_from_the_page_of_a_signed_out_account_reloads_the_page(client, tickers, store, person, path: str):
    response = client.get(path, **from_page_of(str(person.pk)))
    assert response.headers["HX-Redirect"] == reverse("watchlist")
    assert client.get("/").content.decode().count(f"<span>{ENDED}</span>") == 1


def test_the_page_of_a_visitor_who_signed_in_elsewhere_is_reloaded(client, tickers, store, person):
    client.force_login(person)
    response = client.get("/", **from_page_of("0"))
    assert response.headers["HX-Redirect"] == reverse("watchlist")
    assert "You signed in in another tab." in client.get("/").content.decode()


def test_a_page_names_its_owner_and_requests_of_the_owner_are_served(client, tickers, store, person):
    assert 'hx-headers=\'{"Watchlist-Owner": "0"}\'' in client.get("/").content.decode()
    client.force_login(person)
    assert f'hx-headers=\'{{"Watchlist-Owner": "{person.pk}"}}\'' in client.get("/").content.decode()
    assert "HX-Redirect" not in client.get("/", **from_page_of(str(person.pk))).headers


def test_a_missing_list_is_reported_once(client, tickers, store):
    response = client.post(reverse("change-list"), {"remove": "AAPL", "list": "999"}, follow=True)
    assert response.content.decode().count("This list no longer exists") == 1
