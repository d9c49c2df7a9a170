"""Making and revoking the link of a list."""

import re

import pytest
from django.urls import reverse

from tests.support.watchlist.pages import tabs_of, text_of
from watchlist.lists.share_links import TOKEN, find_shared_list, hash_token, make_link
from watchlist.lists.storage import AccountLists
from watchlist.models import ShareLink


@pytest.fixture
def owner(client, person, tickers, store):
    client.force_login(person)
    return client


def submit(client, action, page, **fields):
    """Sends the form of a page about sharing."""
    found = dict(re.findall(r'<input type="hidden" name="(list|known)" value="([^"]*)">', text_of(page)))
    return client.post(reverse("share-list"), found | {"do": action} | fields)


def link_on(page) -> str:
    [address] = re.findall(r'<input id="address" value="([^"]+)" readonly', text_of(page))
    return address


def share(client) -> str:
    """Shares the first list, and returns the address of the shared page."""
    return link_on(submit(client, "make", client.get(reverse("share-list"))))


def test_a_link_has_128_random_bits_and_only_its_hash_is_stored(owner):
    address = share(owner)
    token = address.rpartition("/")[2]
    assert re.fullmatch(r"http://testserver/shared/[\w-]{22}", address)
    [link] = ShareLink.objects.all()
    assert link.token_hash == hash_token(token)
    assert token not in str(ShareLink.objects.values())
    assert owner.get(address).status_code == 200


def test_the_link_is_shown_once(owner):
    page = owner.get(reverse("share-list"))
    assert "Share by a link" in text_of(page)
    made = submit(owner, "make", page)
    assert link_on(made)
    assert made.headers["Cache-Control"].count("no-store") == 1
    page = text_of(owner.get(reverse("share-list")))
    assert "This list is shared" in page
    assert 'id="address"' not in page


def test_a_new_link_replaces_the_old_one(owner):
    first = share(owner)
    second = share(owner)
    assert first != second
    assert owner.get(first).status_code == 404
    assert owner.get(second).status_code == 200


def test_a_revoked_link_shows_nothing(owner):
    address = share(owner)
    page = text_of(submit(owner, "revoke", owner.get(reverse("share-list"))))
    assert "The link is revoked" in page
    assert "Make a link" in page
    response = owner.get(address)
    assert response.status_code == 404
    assert "This link shows no list" in text_of(response)
    assert "Main" not in text_of(response).replace("<main", "")


def test_a_form_that_is_sent_twice_does_not_replace_the_new_link(owner):
    page = owner.get(reverse("share-list"))
    address = link_on(submit(owner, "make", page))
    again = text_of(submit(owner, "make", page))
    assert "Nothing was changed" in again
    assert owner.get(address).status_code == 200


@pytest.mark.parametrize("action", ["", "delete", "make\x00"])
def test_an_unknown_action_changes_nothing(owner, action):
    assert submit(owner, action, owner.get(reverse("share-list"))).status_code == 200
    assert not ShareLink.objects.exists()


def test_the_menu_of_a_list_says_whether_it_is_shared(owner):
    def menu():
        return re.search(r'<a href="/list/share/\?list=(\d+)">(.*?)</a>', text_of(owner.get("/"))).groups()

    assert menu()[1] == "Share by a link"
    share(owner)
    assert menu() == (str(tabs_of(owner.get("/"))["Main"]), "Shared by a link")


def test_a_visitor_is_asked_to_sign_up(client, tickers, store):
    page = text_of(client.get(reverse("share-list")))
    assert "Only a list of an account can be shared" in page
    client.post(reverse("share-list"), {"do": "make", "known": ""})
    assert not ShareLink.objects.exists()


def test_a_list_of_another_account_can_neither_be_shared_nor_revoked(owner, django_user_model):
    other = django_user_model.objects.create_user("bob")
    [foreign] = AccountLists(other).change(lambda lists: lists).lists
    token = make_link(foreign.key)
    assert owner.get(reverse("share-list"), {"list": foreign.key}).status_code == 302
    for action in ("make", "revoke"):
        link = ShareLink.objects.get()
        known = f"{link.pk} {link.created.isoformat()}"
        response = owner.post(reverse("share-list"), {"list": foreign.key, "do": action, "known": known})
        assert response.status_code == 302
    assert ShareLink.objects.get().token_hash == hash_token(token)


@pytest.mark.parametrize("token", ["", "x" * 21, "x" * 23, "x" * 100_000, "é" * 22, "x" * 21 + "\n", "x" * 21 + "%"])
def test_a_text_that_is_no_token_is_not_looked_up(token, django_assert_num_queries, db):
    assert TOKEN.fullmatch(token) is None
    with django_assert_num_queries(0):
        assert find_shared_list(token) is None


def test_a_link_ends_with_its_list_and_its_account(owner, person):
    address = share(owner)
    person.is_active = False
    person.save()
    assert owner.get(address).status_code == 404
    person.is_active = True
    person.save()
    assert owner.get(address).status_code == 200
    person.delete()
    assert owner.get(address).status_code == 404


def test_a_link_can_only_be_made_with_a_token_against_forgery(owner):
    owner.handler.enforce_csrf_checks = True
    assert owner.post(reverse("share-list"), {"do": "make"}).status_code == 403
