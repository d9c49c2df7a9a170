"""Forms that change lists, for accounts and for visitors."""

import re

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.models import Session
from django.test import RequestFactory
from django.urls import reverse

from feeds.models import Ticker
from tests.support.watchlist.lists import add_symbol, symbols_of
from tests.support.watchlist.pages import change_list, notices_of, rows_of, tabs_of, text_of, undos_of
from watchlist.lists.rules import MAX_LISTS, MAX_SYMBOLS
from watchlist.lists.web_session import SessionStore
from watchlist.models import Watchlist
from watchlist.page.change_views import try_symbols, undo_change
from watchlist.page.notices import offer_choices


@pytest.fixture(params=["account", "visitor"])
def visit(request, client, tickers, store, person):
    """Posts a form to a named route and follows the redirect; without a route gets the page."""
    if request.param == "account":
        client.force_login(person)

    def visit(route: str = "", /, **form):
        return client.post(reverse(route), form, follow=True) if route else client.get("/", form)

    return visit


@pytest.mark.parametrize("signed_in", [False, True])
def test_a_symbol_is_added_and_removed(client, tickers, store, person, signed_in):
    if signed_in:
        client.force_login(person)
    assert change_list(client, "add", " t8 ") == "T8 is in your list now."
    assert rows_of(client.get("/"))[-1] == "T8"
    assert change_list(client, "remove", "BTC/USD") == "BTC/USD is no longer in “Main”."
    assert "BTC/USD" not in rows_of(client.get("/"))


@pytest.mark.parametrize(
    ("typed", "notice"),
    [
        ("AAPL", "AAPL is already in “Main”."),
        ("<b>", "“&lt;B&gt;” is not a known symbol or name"),
        ("", "Type a symbol or a name"),
        ("NOPE", "No ticker is called NOPE"),
    ],
)
def test_a_refused_symbol_is_explained(client, tickers, store, typed, notice):
    assert change_list(client, "add", typed).startswith(notice)


def test_a_name_adds_its_symbol(visit, make_ticker):
    make_ticker("KO", name="Coca-Cola")
    assert notices_of(visit("add-symbols", symbol="coca")) == ["KO is in your list now."]


def test_an_ambiguous_name_offers_choices_once(visit, make_ticker):
    make_ticker("GOOG", name="Alphabet C")
    make_ticker("GOOGL", name="Alphabet A")
    response = visit("add-symbols", symbol="alphabet")
    assert notices_of(response) == ["“alphabet” matches several names. Choose one of them."]
    chips = re.findall(r'form="pick" name="symbol" value="(\w+)">([^<]*)</button>', text_of(response))
    assert chips == [("GOOG", "GOOG Alphabet C"), ("GOOGL", "GOOGL Alphabet A")]
    assert "GOOG Alphabet C" not in text_of(visit())


def test_many_pasted_symbols_are_added_and_refusals_are_explained(visit):
    response = visit("add-symbols", symbol="t6, T7;nope\r\naapl\tT6")
    assert notices_of(response) == [
        "T6 and T7 are in your list now.",
        "No ticker is called NOPE. Check the spelling, or search by name.",
        "AAPL is already in “Main”.",
    ]
    assert rows_of(response)[-2:] == ["T6", "T7"]


def test_a_refused_change_creates_no_session(client, tickers, store):
    assert change_list(client, "add", "NOPE").startswith("No ticker is called NOPE")
    client.post(reverse("add-symbols"), {"symbol": "AAPL NOPE"})
    client.post(reverse("undo"))
    client.post(reverse("change-list"), {"up": "NOPE"})
    assert not Session.objects.exists()


def test_an_undo_restores_the_symbol_at_its_position(visit):
    before = rows_of(visit())
    assert "Undo</button>" in text_of(visit("change-list", remove="BTC/USD"))
    response = visit("undo")
    assert notices_of(response) == ["BTC/USD is back."]
    assert rows_of(response) == before
    assert "Undo</button>" not in text_of(response)
    assert notices_of(visit("undo")) == ["There is nothing to undo."]


def test_each_undo_belongs_to_its_change_and_survives_a_reload(visit):
    before = rows_of(visit())
    for symbol in ("AAPL", "BTC/USD", "^GSPC"):
        visit("change-list", remove=symbol)
    page = visit()
    assert re.findall("<small>([^<]*) is no longer", text_of(page)) == ["^GSPC", "BTC/USD", "AAPL"]
    undos = undos_of(page)
    assert text_of(page).count('id="undo-button"') == 1
    page = visit("undo", undo=undos[2])
    assert notices_of(page) == ["AAPL is back."]
    assert undos_of(page) == undos[:2]
    assert notices_of(visit("undo", undo=undos[2])) == ["This was undone already, or is too old to be undone."]
    visit("undo", undo=undos[1])
    page = visit("undo", undo=undos[0])
    assert sorted(rows_of(page)) == sorted(before)
    assert undos_of(page) == []


def test_an_undo_that_is_refused_can_be_tried_again(visit):
    key = tabs_of(visit("change-tabs", do="open", name="Coins"))["Coins"]
    visit("change-tabs", do="delete", list=key)
    [undo] = undos_of(visit())
    for number in range(MAX_LISTS - 1):
        visit("change-tabs", do="open", name=f"L{number}")
    assert f"You have {MAX_LISTS} lists" in notices_of(visit("undo", undo=undo))[0]
    visit("change-tabs", do="delete", list=tabs_of(visit())["L0"])
    assert notices_of(visit("undo", undo=undo)) == ["“Coins” is back."]


def test_the_undo_of_the_first_change_restores_its_own_list(visit):
    page = visit("change-list", remove="AAPL")
    [undo] = undos_of(page)
    visit("change-tabs", do="open", name="Coins")
    visit("change-tabs", do="left", list=tabs_of(visit())["Coins"])
    page = visit("undo", undo=undo)
    assert rows_of(page)[0] == "AAPL"
    assert list(tabs_of(page)) == ["Coins", "Main"]


def test_an_emptied_list_gets_its_symbols_back(visit):
    before = rows_of(visit())
    page = visit("change-tabs", do="clear")
    assert notices_of(page) == ["“Main” was emptied."]
    assert rows_of(visit("undo", undo=undos_of(page)[0])) == before


def test_an_emptied_example_list_gets_its_symbols_back_beside_those_that_were_added_since(visit):
    before = rows_of(visit())
    page = visit("change-tabs", do="clear")
    tabs = list(tabs_of(visit("change-tabs", do="rename", name="Mine")))
    visit("add-symbols", symbol="T8")
    restored = visit("undo", undo=undos_of(page)[0])
    assert rows_of(restored) == [*before, "T8"]
    assert list(tabs_of(restored)) == tabs == ["Mine"]


def test_an_undo_keeps_the_list_that_stored_the_example(visit):
    page = visit("change-tabs", do="clear")
    stored = tabs_of(visit())
    assert tabs_of(visit("undo", undo=undos_of(page)[0])) == stored


def test_an_undo_of_a_visitor_is_not_offered_to_the_account(client, tickers, store, person):
    client.post(reverse("change-list"), {"remove": "AAPL"})
    [undo] = undos_of(client.get("/"))
    client.post("/sign-in/", {"username": "ada", "password": "a long and private phrase"})
    assert undos_of(client.get("/")) == []
    assert "is too old" in notices_of(client.post(reverse("undo"), {"undo": undo}, follow=True))[0]


def test_two_tabs_that_undo_a_deletion_at_once_restore_one_list(client, tickers, store):
    client.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    client.post(reverse("change-tabs"), {"do": "delete", "list": 2})
    requests = [RequestFactory().post(reverse("undo")) for _ in range(2)]
    for request in requests:
        request.user, request.session = AnonymousUser(), SessionStore(client.session.session_key)
        request._messages = FallbackStorage(request)
        request.session.get("lists")  # both have read the session
    for request in requests:
        undo_change(request)
    assert [str(message) for message in requests[1]._messages] == ["This was undone already in another tab."]
    assert list(tabs_of(client.get("/"))) == ["Main", "Coins"]


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
def test_rows_are_moved(visit, form, order):
    assert rows_of(visit("change-list", **form))[:3] == order


def test_a_row_is_moved_to_the_end(visit):
    assert rows_of(visit("change-list", move="AAPL", before=""))[-1] == "AAPL"
    assert rows_of(visit("change-list", bottom="MSFT"))[-1] == "MSFT"


def test_lists_are_created_renamed_moved_and_deleted_with_undo(visit):
    response = visit("change-tabs", do="open", name="Coins")
    key = tabs_of(response)["Coins"]
    assert response.redirect_chain == [(f"/?list={key}", 302)]
    visit("add-symbols", list=key, symbol="BTC/USD")
    assert list(tabs_of(visit("change-tabs", do="rename", list=key, name="Crypto"))) == ["Main", "Crypto"]
    assert list(tabs_of(visit("change-tabs", do="left", list=key))) == ["Crypto", "Main"]
    response = visit("change-tabs", do="delete", list=key)
    assert notices_of(response) == ["“Crypto” was deleted."]
    assert list(tabs_of(response)) == ["Main"]
    response = visit("undo")
    assert list(tabs_of(response)) == ["Crypto", "Main"]
    assert rows_of(response) == ["BTC/USD"]


def test_the_only_list_cannot_be_deleted(visit):
    assert "only list" in notices_of(visit("change-tabs", do="delete"))[0]


@pytest.mark.parametrize(
    ("route", "form"),
    [
        ("change-tabs", {"do": "rename", "name": "X"}),
        ("change-list", {"remove": "AAPL"}),
        ("add-symbols", {"symbol": "T8"}),
    ],
)
def test_a_change_of_a_list_that_no_longer_exists_is_explained(visit, route, form):
    assert "This list no longer exists" in notices_of(visit(route, list="999", **form))[0]


@pytest.mark.parametrize("symbol", ["T8", "AAPL", "NOPE", "T", "T7 T8 NOPE", ""])
def test_adding_to_the_list_of_another_account_is_answered_with_the_own_page(visit, django_user_model, symbol):
    add_symbol(django_user_model.objects.create_user("bob"), "T8")
    page = visit("add-symbols", list=Watchlist.objects.get().pk, symbol=symbol)
    assert page.status_code == 200
    assert notices_of(page)


def test_a_list_that_is_deleted_while_a_symbol_is_added_is_explained(visit, monkeypatch):
    key = tabs_of(visit("change-tabs", do="open", name="Coins"))["Coins"]

    def delete_first(*arguments):
        monkeypatch.undo()
        visit("change-tabs", do="delete", list=key)
        return try_symbols(*arguments)

    monkeypatch.setattr("watchlist.page.change_views.try_symbols", delete_first)
    assert "This list no longer exists" in " ".join(notices_of(visit("add-symbols", list=key, symbol="T8")))


def test_a_session_that_another_tab_ended_during_a_request_is_explained(client, tickers, store, monkeypatch):
    client.post(reverse("add-symbols"), {"symbol": "T8"})

    def end_session(*arguments):
        Session.objects.all().delete()
        return try_symbols(*arguments)

    monkeypatch.setattr("watchlist.page.change_views.try_symbols", end_session)
    page = client.post(reverse("add-symbols"), {"symbol": "T7"}, follow=True)
    assert notices_of(page)[-1].startswith("Your session has ended in another tab. Nothing was changed.")


def test_a_session_that_ends_before_it_is_saved_is_explained(client, tickers, store, monkeypatch):
    client.post(reverse("add-symbols"), {"symbol": "T8"})

    def end_session(request, *arguments):
        request.session.get("lists")  # reads the session
        Session.objects.all().delete()
        return offer_choices(request, *arguments)

    monkeypatch.setattr("watchlist.page.change_views.offer_choices", end_session)
    response = client.post(reverse("add-symbols"), {"symbol": "Inc"})
    assert response.status_code == 400
    assert "You signed in or out in another tab" in text_of(response)


def test_a_list_that_no_longer_exists_redirects_to_the_first_list(visit):
    assert visit(list="999").status_code == 302


@pytest.mark.parametrize("key", ["x", "-1", "9" * 40, "٣", ""])
def test_an_invalid_list_key_shows_the_first_list(visit, key):
    assert len(rows_of(visit(list=key))) == 12


def test_limits_are_explained(visit, make_ticker):
    Ticker.objects.bulk_create(Ticker(symbol=f"S{number}", base_price=1) for number in range(MAX_SYMBOLS))
    response = visit("add-symbols", symbol=" ".join(f"S{number}" for number in range(MAX_SYMBOLS)))
    assert len(rows_of(response)) == MAX_SYMBOLS
    assert f"a list holds {MAX_SYMBOLS} symbols" in notices_of(response)[1]
    for number in range(MAX_LISTS):
        response = visit("change-tabs", do="open", name=f"L{number}")
    assert f"You have {MAX_LISTS} lists" in notices_of(response)[0]
    assert len(tabs_of(response)) == MAX_LISTS


def test_a_change_keeps_the_sort_of_the_page(client, tickers, store, person):
    client.force_login(person)
    client.post(reverse("add-symbols"), {"symbol": "T8"})
    key = Watchlist.objects.get().pk
    response = client.post(reverse("change-list"), {"remove": "T8", "list": key, "sort": "-symbol"}, follow=True)
    assert response.redirect_chain == [(f"/?list={key}&sort=-symbol", 302)]
    assert rows_of(response)[0] == "^GSPC"


def test_an_account_cannot_change_the_list_of_another(client, tickers, store, person, django_user_model):
    client.force_login(person)
    client.post(reverse("add-symbols"), {"symbol": "T8"})
    key = Watchlist.objects.get().pk
    client.force_login(django_user_model.objects.create_user("bob"))
    client.post(reverse("change-list"), {"list": key, "remove": "T8"})
    client.post(reverse("change-tabs"), {"list": key, "do": "rename", "name": "Mine"})
    assert symbols_of(person)[-1] == "T8"
    assert Watchlist.objects.get(pk=key).name == "Main"
