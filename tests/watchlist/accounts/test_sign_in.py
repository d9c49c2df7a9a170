"""Sign-up, sign-in and sign-out, and the lists that follow."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from tests.support.watchlist.lists import add_symbol, symbols_of
from tests.support.watchlist.pages import change_list, rows_of, text_of

PASSWORD = "a long and private phrase"


def test_sign_up_signs_in_and_keeps_the_visitors_lists(client, tickers, store):
    change_list(client, "remove", "AAPL")
    form = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}
    response = client.post(reverse("sign-up"), form, follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert 'title="Signed in as ada"' in text_of(response)
    assert "AAPL" not in symbols_of(User.objects.get())


def test_an_invalid_sign_up_is_explained_and_creates_no_account(client, db):
    html = text_of(client.post(reverse("sign-up"), {"username": "a b", "password1": "1", "password2": "2"}))
    assert "Enter a valid username" in html
    assert "The two password fields" in html
    assert not User.objects.exists()


def test_sign_in_shows_the_lists_of_the_account(client, tickers, store, person):
    add_symbol(person, "T8")
    response = client.post(reverse("sign-in"), {"username": "ada", "password": PASSWORD}, follow=True)
    assert rows_of(response)[-1] == "T8"


def test_a_wrong_password_is_explained(client, person):
    html = text_of(client.post(reverse("sign-in"), {"username": "ada", "password": "wrong"}))
    assert "Please enter a correct username and password" in html


def test_sign_in_never_redirects_to_another_site(client, person):
    form = {"username": "ada", "password": PASSWORD, "next": "https://example.org/"}
    assert client.post(reverse("sign-in"), form).headers["Location"] == "/"


def test_sign_out_deletes_the_session(client, tickers, store, person):
    client.force_login(person)
    response = client.post(reverse("sign-out"), follow=True)
    assert "Sign in" in text_of(response)
    assert not Session.objects.exists()


@pytest.mark.parametrize("name", ["sign-in", "sign-up"])
def test_a_signed_in_person_is_redirected_from_sign_in_and_sign_up(client, person, name):
    client.force_login(person)
    assert client.get(reverse(name)).headers["Location"] == "/"


def test_two_accounts_have_separate_lists(tickers, store, person):
    other = User.objects.create_user("bob", password=PASSWORD)
    ada_client, bob_client = Client(), Client()
    ada_client.force_login(person)
    bob_client.force_login(other)
    change_list(ada_client, "remove", "AAPL")
    assert "AAPL" not in rows_of(ada_client.get("/"))
    assert "AAPL" in rows_of(bob_client.get("/"))
