import pytest
from django.urls import reverse

from watchlist.accounts.page_owner import HEADER
from watchlist.models import Watchlist

ENDED = "Your session has ended: sign in again to go on with your lists."


def ask(client, owner: str, **headers) -> dict:
    return {"headers": {HEADER: owner, "HX-Request": "true"} | headers}


@pytest.mark.parametrize("where", ["add-symbols", "change-list", "change-tabs", "undo"])
def test_a_change_from_a_page_of_an_account_that_is_signed_out_is_not_made(client, tickers, store, person, where: str):
    response = client.post(reverse(where), {"symbol": "AAPL"}, **ask(client, str(person.pk)))
    assert response.headers["HX-Redirect"] == reverse("watchlist")
    page = client.get("/").content.decode()
    assert page.count(f"That was not done. {ENDED}") == 1
    assert not Watchlist.objects.exists()


@pytest.mark.parametrize("path", ["/", "/?list=7", "/s/AAPL"])
def test_what_a_page_asks_to_see_for_an_account_that_is_signed_out_is_loaded_anew(
    client, tickers, store, person, path: str
):
    response = client.get(path, **ask(client, str(person.pk)))
    assert response.headers["HX-Redirect"] == reverse("watchlist")
    assert client.get("/").content.decode().count(f"<span>{ENDED}</span>") == 1


def test_a_page_of_a_visitor_who_signed_in_elsewhere_is_loaded_anew(client, tickers, store, person):
    client.force_login(person)
    response = client.get("/", **ask(client, "0"))
    assert response.headers["HX-Redirect"] == reverse("watchlist")
    assert "You signed in in another tab meanwhile" in client.get("/").content.decode()


def test_a_page_says_whose_it_is_and_is_answered(client, tickers, store, person):
    assert 'hx-headers=\'{"Watchlist-Owner": "0"}\'' in client.get("/").content.decode()
    client.force_login(person)
    assert f'hx-headers=\'{{"Watchlist-Owner": "{person.pk}"}}\'' in client.get("/").content.decode()
    assert "HX-Redirect" not in client.get("/", **ask(client, str(person.pk))).headers


def test_a_list_that_is_gone_is_said_once(client, tickers, store):
    response = client.post(reverse("change-list"), {"remove": "AAPL", "list": "999"}, follow=True)
    assert response.content.decode().count("This list is gone") == 1
