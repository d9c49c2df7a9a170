"""The page of a shared list: what it shows, hides and copies."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from tests.support.watchlist.pages import notices_of, row_text, rows_of, tabs_of, text_of, undos_of
from watchlist.lists.rules import MAX_LISTS
from watchlist.lists.share_links import make_link
from watchlist.lists.storage import AccountLists

NAME, NOTE, OTHER_LIST = "Tech & <b>more</b>", "sell at 250", "A secret list"


@pytest.fixture
def token(person, tickers, store) -> str:
    """The token of a link to a list of two symbols."""
    account = AccountLists(person)

    def fill(lists):
        lists = lists.create(OTHER_LIST, ["BTC/USD"])
        return lists.create(NAME, ["MSFT", "AAPL"], columns=("bid", "age"), notes={"AAPL": NOTE})

    return make_link(account.change(fill).lists[-1].key)


@pytest.fixture
def reader(client, django_user_model) -> Client:
    """A signed-in client of another account."""
    client.force_login(django_user_model.objects.create_user("reader"))
    return client


def test_everyone_with_the_link_sees_name_symbols_and_prices(client, token, put_price):
    put_price("AAPL", 102.5)
    page = client.get(f"/shared/{token}")
    assert page.status_code == 200
    assert rows_of(page) == ["MSFT", "AAPL"]
    assert "102.50" in row_text(page, "AAPL")
    assert '<h1 id="heading">Tech &amp; &lt;b&gt;more&lt;/b&gt; ' in text_of(page)


def test_nothing_else_of_the_owner_is_shown(client, token, person):
    person.username = "the-owner"
    person.save()
    page = text_of(client.get(f"/shared/{token}"))
    for hidden in (NOTE, OTHER_LIST, person.username, "data-list", 'class="bid', "csrfmiddlewaretoken", "<form"):
        assert hidden not in page


def test_the_page_is_kept_out_of_search_engines_caches_and_other_sites(client, token):
    for address in (f"/shared/{token}", "/shared/" + "x" * 22):
        response = client.get(address)
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["X-Robots-Tag"] == "noindex"
        assert "no-store" in response.headers["Cache-Control"]
        assert '<meta name="robots" content="noindex">' in text_of(response)
        assert "og:url" not in text_of(response)


def test_a_visit_starts_no_web_session(client, token):
    client.get(f"/shared/{token}")
    client.get(f"/shared/{token}/copy/")
    assert "sessionid" not in client.cookies


def test_the_page_only_reads(client, token):
    for method in (client.post, client.put, client.delete):
        assert method(f"/shared/{token}").status_code == 405


def test_headings_sort_the_shared_page(client, token, put_price):
    put_price("MSFT", 101.0)
    put_price("AAPL", 102.0)
    page = client.get(f"/shared/{token}?sort=-last")
    assert rows_of(page) == ["AAPL", "MSFT"]
    addresses = re.findall(r'<a href="([^"]+)" data-sort=', text_of(page))
    assert addresses
    assert all(address.startswith(f"/shared/{token}?sort=") for address in addresses)


def test_an_empty_list_says_so(client, person, tickers, store):
    [empty] = AccountLists(person).change(lambda lists: lists.create("Empty")).lists[1:]
    page = client.get(f"/shared/{make_link(empty.key)}")
    assert "This list is empty" in text_of(page)
    assert "0 symbols" in text_of(page)


def test_without_redis_the_page_says_that_prices_are_missing(client, person, tickers, settings):
    settings.REDIS = settings.REDIS | {"host": "127.0.0.1", "port": 1}
    [shared] = AccountLists(person).change(lambda lists: lists).lists
    page = client.get(f"/shared/{make_link(shared.key)}")
    assert page.status_code == 200
    assert "Prices are not available right now" in text_of(page)


@pytest.mark.parametrize("ending", ["", "/copy/"])
@pytest.mark.parametrize("token", ["x" * 22, "x", "x" * 5000, "%00" * 22, "..", "é" * 22])
def test_an_unknown_link_is_not_found(client, db, token, ending):
    assert client.get(f"/shared/{token}{ending}").status_code == 404


@pytest.mark.parametrize("ending", ["", "/copy/"])
def test_a_private_site_shows_shared_lists_only_to_signed_in_accounts(reader, token, settings, ending):
    settings.PRIVATE = True
    address = f"/shared/{token}{ending}"
    assert reader.get(address).status_code == 200
    for visited in (address, f"/shared/{'x' * 22}{ending}"):
        response = Client().get(visited)
        assert (response.status_code, response.headers["Location"]) == (302, f"{reverse('sign-in')}?next={visited}")


def test_a_visitor_signs_in_before_copying(client, token, person):
    assert "Sign in to copy this list" in text_of(client.get(f"/shared/{token}"))
    for method in (client.get, client.post):
        response = method(f"/shared/{token}/copy/")
        assert response.headers["Location"] == f"{reverse('sign-in')}?next=/shared/{token}/copy/"
    assert list(tabs_of(client.get("/"))) == ["Main"]


def test_a_list_is_copied_without_notes_after_a_question(reader, token):
    assert "Copy to my lists" in text_of(reader.get(f"/shared/{token}"))
    question = reader.get(f"/shared/{token}/copy/")
    assert "Your copy has 2 symbols: MSFT, AAPL." in text_of(question)
    # A page without a referrer sends no origin, and Django refuses forms without an origin.
    assert question.headers["Referrer-Policy"] == "same-origin"
    page = reader.post(f"/shared/{token}/copy/", follow=True)
    assert rows_of(page) == ["MSFT", "AAPL"]
    assert notices_of(page) == ["“Tech &amp; &lt;b&gt;more&lt;/b&gt;” is one of your lists now."]
    assert NOTE not in text_of(page)
    reader.post(reverse("undo"), {"undo": undos_of(page)[0]})
    assert list(tabs_of(reader.get("/"))) == ["Main"]


def test_the_undo_of_a_copy_keeps_a_later_change_of_another_list(reader, token):
    page = reader.post(f"/shared/{token}/copy/", follow=True)
    reader.post(reverse("change-tabs"), {"do": "rename", "name": "Mine"})
    reader.post(reverse("undo"), {"undo": undos_of(page)[0]})
    assert list(tabs_of(reader.get("/"))) == ["Mine"]


def test_a_copy_gets_a_free_name(reader, token):
    for _ in range(2):
        page = reader.post(f"/shared/{token}/copy/", follow=True)
    assert list(tabs_of(page))[-1] == "Tech &amp; &lt;b&gt;more&lt;/b&gt; 2"


def test_a_full_account_is_told_so(reader, token, django_user_model):
    account = AccountLists(django_user_model.objects.get(username="reader"))
    for number in range(MAX_LISTS - 1):
        account.change(lambda lists, number=number: lists.create(f"List {number}"))
    page = reader.post(f"/shared/{token}/copy/", follow=True)
    assert notices_of(page) == [f"You have {MAX_LISTS} lists, which is the maximum. Delete one first."]


def test_a_copy_needs_a_token_against_forgery(reader, token):
    reader.handler.enforce_csrf_checks = True
    assert reader.post(f"/shared/{token}/copy/").status_code == 403
