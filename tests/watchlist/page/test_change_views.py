import re

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from feeds.models import Ticker
from tests.support.lists import symbols_of
from watchlist.lists.rules import MOST_LISTS, MOST_SYMBOLS
from watchlist.models import Watchlist


def text_of(response) -> str:
    return response.content.decode()


def said_by(response) -> list[str]:
    return re.findall(r'<li class="(?:success|error|info)"><span>(.*?)</span>', text_of(response))


def rows_of(response) -> list[str]:
    return re.findall(r'<tr data-symbol="([^"]+)"', text_of(response))


def tabs_of(response) -> dict[str, int]:
    found = re.findall(r'<a href="/\?list=(\d+)" data-list.*?>(.*?) <small>', text_of(response))
    return {name: int(key) for key, name in found}


@pytest.fixture(params=["account", "visitor"])
def visit(request, client, tickers, store, person):
    """Posts to an address of a name and follows; every rule holds for accounts and for visitors."""
    if request.param == "account":
        client.force_login(person)

    def visit(where: str = "", /, **form):
        return client.post(reverse(where), form, follow=True) if where else client.get("/", form)

    return visit


def test_a_name_is_as_good_as_a_symbol(visit, make_ticker):
    make_ticker("KO", name="Coca-Cola")
    assert said_by(visit("add-symbols", symbol="coca")) == ["KO is in your list now."]


def test_an_ambiguous_name_offers_what_was_meant(visit, make_ticker):
    make_ticker("GOOG", name="Alphabet C")
    make_ticker("GOOGL", name="Alphabet A")
    response = visit("add-symbols", symbol="alphabet")
    assert said_by(response) == ["“alphabet” is the name of more than one: choose one of them."]
    assert re.findall(r'form="pick" name="symbol" value="(\w+)">', text_of(response))[:2] == ["GOOG", "GOOGL"]


def test_many_are_pasted_at_once_and_what_is_refused_is_named(visit):
    response = visit("add-symbols", symbol="t6, T7;nope\r\naapl\tT6")
    assert said_by(response) == [
        "T6 and T7 are in your list now.",
        "No ticker is called NOPE. Check the spelling, or search by name.",
        "AAPL is in “Main” already.",
    ]
    assert rows_of(response)[-2:] == ["T6", "T7"]


def test_a_refused_change_leaves_no_session(client, tickers, store):
    client.post(reverse("add-symbols"), {"symbol": "AAPL NOPE"})
    client.post(reverse("undo"))
    client.post(reverse("change-list"), {"up": "NOPE"})
    assert not Session.objects.exists()


def test_a_removal_is_undone_in_its_place(visit):
    before = rows_of(visit())
    assert "Undo</button>" in text_of(visit("change-list", remove="BTC/USD"))
    response = visit("undo")
    assert said_by(response) == ["BTC/USD is back."]
    assert rows_of(response) == before
    assert said_by(visit("undo")) == ["There is nothing left to undo."]


@pytest.mark.parametrize(
    ("form", "order"),
    [
        ({"up": "BRK.B"}, ["AAPL", "BRK.B", "MSFT"]),
        ({"down": "AAPL"}, ["MSFT", "AAPL", "BRK.B"]),
        ({"up": "AAPL"}, ["AAPL", "MSFT", "BRK.B"]),
        ({"top": "BRK.B"}, ["BRK.B", "AAPL", "MSFT"]),
        ({"move": "BRK.B", "before": "AAPL"}, ["BRK.B", "AAPL", "MSFT"]),
        ({"move": "AAPL", "before": "BRK.B"}, ["MSFT", "AAPL", "BRK.B"]),
        ({"nothing": "AAPL"}, ["AAPL", "MSFT", "BRK.B"]),
    ],
)
def test_rows_are_put_elsewhere(visit, form, order):
    assert rows_of(visit("change-list", **form))[:3] == order


def test_a_row_is_moved_to_the_end(visit):
    assert rows_of(visit("change-list", move="AAPL", before=""))[-1] == "AAPL"
    assert rows_of(visit("change-list", bottom="MSFT"))[-1] == "MSFT"


def test_lists_are_made_renamed_and_deleted_with_undo(visit):
    response = visit("change-tabs", do="open", name="Coins")
    key = tabs_of(response)["Coins"]
    assert response.redirect_chain == [(f"/?list={key}", 302)]
    visit("add-symbols", list=key, symbol="BTC/USD")
    assert list(tabs_of(visit("change-tabs", do="rename", list=key, name="Crypto"))) == ["Main", "Crypto"]
    assert list(tabs_of(visit("change-tabs", do="left", list=key))) == ["Crypto", "Main"]
    response = visit("change-tabs", do="delete", list=key)
    assert said_by(response) == ["“Crypto” is deleted."]
    assert list(tabs_of(response)) == ["Main"]
    response = visit("undo")
    assert list(tabs_of(response)) == ["Crypto", "Main"]
    assert rows_of(response) == ["BTC/USD"]


def test_the_only_list_is_not_deleted(visit):
    assert "only list" in said_by(visit("change-tabs", do="delete"))[0]


def test_a_list_that_is_gone_is_explained(visit):
    assert "This list is gone" in said_by(visit("change-tabs", do="rename", list="999", name="X"))[0]
    response = visit(list="999")
    assert response.status_code == 302


def test_the_caps_are_said(visit, make_ticker):
    Ticker.objects.bulk_create(Ticker(symbol=f"S{number}", base_price=1) for number in range(MOST_SYMBOLS))
    response = visit("add-symbols", symbol=" ".join(f"S{number}" for number in range(MOST_SYMBOLS)))
    assert len(rows_of(response)) == MOST_SYMBOLS
    assert f"a list holds {MOST_SYMBOLS} symbols" in said_by(response)[1]
    for number in range(MOST_LISTS):
        response = visit("change-tabs", do="open", name=f"L{number}")
    assert f"You have {MOST_LISTS} lists" in said_by(response)[0]
    assert len(tabs_of(response)) == MOST_LISTS


def test_the_order_of_the_page_survives_a_change(client, tickers, store, person):
    client.force_login(person)
    client.post(reverse("add-symbols"), {"symbol": "T8"})
    key = Watchlist.objects.get().pk
    response = client.post(reverse("change-list"), {"remove": "T8", "list": key, "sort": "-symbol"}, follow=True)
    assert response.redirect_chain == [(f"/?list={key}&sort=-symbol", 302)]
    assert rows_of(response)[0] == "^GSPC"


@pytest.mark.parametrize("key", ["x", "-1", "9" * 40, "٣", ""])
def test_a_list_that_is_no_number_is_the_first(visit, key):
    assert len(rows_of(visit(list=key))) == 12


def test_nobody_changes_another_accounts_list(client, tickers, store, person, django_user_model):
    client.force_login(person)
    client.post(reverse("add-symbols"), {"symbol": "T8"})
    key = Watchlist.objects.get().pk
    client.force_login(django_user_model.objects.create_user("bob"))
    client.post(reverse("change-list"), {"list": key, "remove": "T8"})
    client.post(reverse("change-tabs"), {"list": key, "do": "rename", "name": "Mine"})
    assert symbols_of(person)[-1] == "T8"
    assert Watchlist.objects.get(pk=key).name == "Main"


def test_only_what_the_gateway_serves_is_offered(client, tickers, store, settings):
    settings.GATEWAY_VALID_TICKERS = ["AAPL", "T8"]
    response = client.get("/")
    assert rows_of(response) == ["AAPL", "T8"]
    assert 'class="off' not in text_of(response)
    response = client.post(reverse("add-symbols"), {"symbol": "MSFT"}, follow=True)
    assert said_by(response) == ["MSFT is switched off: it gets no prices now."]
    assert client.get(reverse("api-search"), {"q": "msft"}).json() == []


def test_htmx_gets_the_workspace_alone(client, tickers, store):
    response = client.get("/", headers={"HX-Request": "true"})
    html = text_of(response)
    assert "<html" not in html
    assert "<title>Main · simulated prices · stockwatch</title>" in html
    assert len(rows_of(response)) == 12
