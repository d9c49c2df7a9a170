import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.support.watchlist.pages import text_of
from watchlist.accounts.tokens import find_token
from watchlist.models import ApiToken

TOKENS, REVOKE = reverse("tokens"), reverse("revoke-token")
NEW = {"name": "my <b>script</b>", "scopes": ["read", "lists"]}


@pytest.fixture
def page(client, person) -> Client:
    client.force_login(person)
    return client


def test_a_new_token_is_shown_once(page):
    response = page.post(TOKENS, NEW)
    token = re.search(r'value="(sw_[^"]+)"', text_of(response))[1]
    assert find_token(token).scope_names == ["read", "lists"]
    assert "no-store" in response.headers["Cache-Control"]
    shown = text_of(page.get(TOKENS))
    assert token not in shown
    assert "my &lt;b&gt;script&lt;/b&gt;" in shown
    assert "Read prices, Read and change your lists" in shown
    assert "never" in shown


def test_a_token_is_revoked(page):
    page.post(TOKENS, NEW)
    response = page.post(REVOKE, {"token": ApiToken.objects.get().pk}, follow=True)
    assert "was revoked" in text_of(response)
    assert ApiToken.objects.get().revoked is not None
    assert "revoked already" in text_of(page.post(REVOKE, {"token": ApiToken.objects.get().pk}, follow=True))


@pytest.mark.parametrize("key", ["", "x", "-1", "²", "9" * 18, "9" * 5000])
def test_an_invalid_key_revokes_nothing(page, key):
    assert "revoked already" in text_of(page.post(REVOKE, {"token": key}, follow=True))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": "no scope"},
        {"name": "wrong", "scopes": ["admin"]},
        {"name": "x" * 61, "scopes": ["read"]},
        {"name": "a\u202eb", "scopes": ["read"]},
        {"name": "  ", "scopes": ["read"]},
    ],
)
def test_an_invalid_form_creates_no_token_and_says_why(page, values):
    response = page.post(TOKENS, values)
    assert response.status_code == 422
    assert 'class="errors"' in text_of(response)
    assert not ApiToken.objects.exists()


def test_the_twenty_first_token_is_refused(page):
    for _ in range(20):
        page.post(TOKENS, NEW)
    assert "You have 20 tokens" in text_of(page.post(TOKENS, NEW))
    assert ApiToken.objects.count() == 20


def test_other_people_see_and_revoke_no_tokens(page, client):
    page.post(TOKENS, NEW)
    key = ApiToken.objects.get().pk
    client.force_login(User.objects.create_user("eve"))
    assert "You have no tokens" in text_of(client.get(TOKENS))
    client.post(REVOKE, {"token": key})
    assert ApiToken.objects.get().revoked is None


def test_visitors_are_sent_to_the_page_for_signing_in(client, db):
    assert client.get(TOKENS).headers["Location"].startswith(reverse("sign-in"))
    assert client.post(REVOKE, {"token": 1}).headers["Location"].startswith(reverse("sign-in"))


def test_forms_of_other_sites_are_refused(person):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    assert client.post(TOKENS, NEW).status_code == 403
    assert client.post(REVOKE, {"token": 1}).status_code == 403


def test_the_settings_lead_to_the_tokens(page):
    assert f'href="{TOKENS}"' in text_of(page.get(reverse("settings")))
