import re
import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.support.waiting import wait_until
from tests.support.watchlist.lists import add_symbol
from tests.support.watchlist.pages import text_of
from watchlist.accounts.preferences import Appearance, make_appearance, zones
from watchlist.models import Entry, Preferences, Watchlist

PASSWORD = "a long and private phrase"


def sign_up(client, name: str, **more):
    form = {"username": name, "password1": PASSWORD, "password2": PASSWORD} | more
    return client.post(reverse("sign-up"), form)


# --- Sign-up ----------------------------------------------------------------------------------------------------------


def test_registration_can_be_closed(client, db, settings):
    settings.REGISTRATION_OPEN = False
    response = sign_up(client, "ada")
    assert response.status_code == 403
    assert "Sign-up is closed" in text_of(response)
    assert not User.objects.exists()
    assert reverse("sign-up") not in text_of(client.get("/"))
    assert reverse("sign-up") not in text_of(client.get(reverse("sign-in")))


def test_an_address_can_open_a_limited_number_of_accounts_per_hour(client, store, db, settings):
    settings.REGISTRATION_PER_HOUR = 2
    answers = [sign_up(Client(REMOTE_ADDR="192.0.2.1"), f"ada{number}").status_code for number in range(3)]
    assert answers == [302, 302, 429]
    assert sign_up(Client(REMOTE_ADDR="192.0.2.2"), "bob").status_code == 302
    assert store.ttl("throttle:sign-up:192.0.2.1") > 0


def test_invalid_forms_are_not_counted(client, store, db, settings):
    settings.REGISTRATION_PER_HOUR = 1
    sign_up(client, "a b")
    assert sign_up(client, "ada").status_code == 302


def test_without_redis_sign_up_is_not_limited(client, db, settings):
    settings.REDIS = settings.REDIS | {"port": 1}
    assert sign_up(client, "ada").status_code == 302


# --- Passwords --------------------------------------------------------------------------------------------------------


def test_a_forgotten_password_is_reset_by_email(client, person, store):
    person.email = "ada@example.org"
    person.save()
    client.post(reverse("password-reset"), {"email": "ada@example.org"})
    wait_until(lambda: mail.outbox)
    [message] = mail.outbox
    assert message.subject == "Reset your stockwatch password"
    path = re.search(r"http://[^/]+(/\S+)", message.body)[1]
    address = client.get(path).headers["Location"]
    new = "another long and private phrase"
    response = client.post(address, {"new_password1": new, "new_password2": new}, follow=True)
    assert "Your password was changed" in text_of(response)
    assert client.login(username="ada", password=new)
    assert "This link is no longer valid" in text_of(client.get(path, follow=True))


def test_a_password_reset_does_not_reveal_whether_an_account_exists(client, person, store):
    response = client.post(reverse("password-reset"), {"email": "nobody@example.org"}, follow=True)
    assert "If an account has this address" in text_of(response)
    assert mail.outbox == []


@pytest.fixture
def slow_mail_server(settings):
    """A mail server that answers only when the test lets it."""
    answer = threading.Event()
    sent = []

    class Backend(BaseEmailBackend):
        def send_messages(self, messages):
            answer.wait(30)
            sent.extend(messages)
            return len(messages)

    settings.EMAIL_BACKEND = f"{__name__}.SlowBackend"
    globals()["SlowBackend"] = Backend
    yield answer, sent
    answer.set()
    del globals()["SlowBackend"]


def test_the_answer_does_not_wait_for_the_mail_server(client, person, store, slow_mail_server):
    answer, sent = slow_mail_server
    User.objects.update(email="ada@example.org")
    assert client.post(reverse("password-reset"), {"email": "ada@example.org"}).status_code == 302
    assert sent == []
    answer.set()
    wait_until(lambda: sent)


@pytest.mark.parametrize("host", ["localhost", "testserver:4444", "testserver"])
def test_links_in_e_mails_lead_to_the_site_whatever_host_a_request_names(client, person, store, settings, host):
    settings.HAS_SITE_URL, settings.SITE_URL = True, "https://stocks.example.org:8443"
    User.objects.update(email="ada@example.org")
    client.post(reverse("password-reset"), {"email": "ada@example.org"}, headers={"host": host})
    wait_until(lambda: mail.outbox)
    assert "\nhttps://stocks.example.org:8443/password/" in mail.outbox[0].body
    assert "for the account ada at stocks.example.org:8443." in mail.outbox[0].body


@pytest.mark.parametrize(("peer", "scheme"), [("10.0.0.1", "https"), ("192.0.2.1", "http")])
def test_only_a_trusted_proxy_makes_links_and_cookies_secure(person, store, settings, peer, scheme):
    settings.GATEWAY_TRUSTED_PROXIES = ["10.0.0.0/8"]
    User.objects.update(email="ada@example.org")
    client = Client(REMOTE_ADDR=peer, headers={"X-Forwarded-Proto": "https", "Host": "testserver"})
    client.post(reverse("password-reset"), {"email": "ada@example.org"})
    wait_until(lambda: mail.outbox)
    assert f"\n{scheme}://testserver/password/" in mail.outbox[0].body
    cookie = client.post(reverse("change-look"), {"theme": "dark"}).cookies["look"]
    assert bool(cookie["secure"]) is (scheme == "https")


PRIVATE = ["settings", "sign-in", "sign-up", "password-reset", "password-reset-sent", "password-reset-done"]


@pytest.mark.parametrize("name", [*PRIVATE, "password-change", "delete-account", "transfer"])
def test_no_browser_or_proxy_stores_pages_of_accounts(client, person, tickers, store, name):
    if name in {"password-change", "delete-account"}:
        client.force_login(person)
    response = client.get(reverse(name))
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("name", ["change-email", "password-change", "password-reset", "import-preview", "sign-in"])
def test_no_browser_or_proxy_stores_answers_to_forms_of_accounts(client, person, tickers, store, name):
    if name != "sign-in":
        client.force_login(person)
    assert "no-store" in client.post(reverse(name), {"email": "x", "text": "AAPL"})["Cache-Control"]


def test_reset_emails_are_limited(client, person, store, settings):
    settings.REGISTRATION_PER_HOUR = 1
    for _ in range(2):
        response = client.post(reverse("password-reset"), {"email": "nobody@example.org"}, follow=True)
    assert "Too many e-mails" in text_of(response)


def test_a_password_change_keeps_the_person_signed_in(client, person, tickers, store):
    client.force_login(person)
    new = "another long and private phrase"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    response = client.post(reverse("password-change"), form, follow=True)
    assert "Your password was changed." in text_of(response)
    assert 'title="Signed in as ada"' in text_of(response)


def test_the_email_address_is_validated_and_saved(client, person):
    client.force_login(person)
    form = {"email": "nonsense", "password": PASSWORD}
    assert "Enter a valid email address" in text_of(client.post(reverse("change-email"), form))
    client.post(reverse("change-email"), form | {"email": "ada@example.org"})
    person.refresh_from_db()
    assert person.email == "ada@example.org"


@pytest.mark.parametrize("form", [{}, {"password": ""}, {"password": "wrong"}])
def test_the_email_address_is_not_changed_without_the_password(client, person, store, form):
    client.force_login(person)
    response = client.post(reverse("change-email"), {"email": "mallory@example.org"} | form)
    assert response.status_code == 200
    person.refresh_from_db()
    assert person.email == ""


# --- Deletion ---------------------------------------------------------------------------------------------------------


def test_deleting_an_account_deletes_all_its_data(client, person, tickers, store):
    other_device, other_account = Client(), Client()
    for each in (client, other_device):
        each.force_login(person)
    other_account.force_login(User.objects.create_user("bob"))
    add_symbol(person, "T8")
    client.post(reverse("change-look"), {"theme": "dark"})
    assert "The password is wrong" in text_of(client.post(reverse("delete-account"), {"password": "wrong"}))
    response = client.post(reverse("delete-account"), {"password": PASSWORD}, follow=True)
    assert "Your account and all its data were deleted." in text_of(response)
    assert [user.username for user in User.objects.all()] == ["bob"]
    assert not any(model.objects.exists() for model in (Watchlist, Entry, Preferences))
    assert Session.objects.count() == 1


def test_expired_sessions_are_purged(client, db, person):
    client.force_login(person)
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(days=1))
    call_command("purge")
    assert Session.objects.count() == 1


# --- Appearance -------------------------------------------------------------------------------------------------------


def test_a_visitors_appearance_is_stored_only_in_a_cookie(client, tickers, store):
    form = {"theme": "dark", "palette": "blue", "density": "compact", "zone": "Europe/Berlin", "next": "/?list=1"}
    response = client.post(reverse("change-look"), form)
    assert response.headers["Location"] == "/?list=1"
    html = text_of(client.get("/"))
    assert '<html lang="en" data-theme="dark" data-palette="blue" data-density="compact">' in html
    assert re.search(r"\d\d:\d\d:\d\d CES?T</time>. Reload", html)
    assert not Session.objects.exists()


def test_an_accounts_appearance_is_the_same_on_all_devices(client, person, tickers, store):
    client.force_login(person)
    client.post(reverse("change-look"), {"palette": "blue"})
    other = Client()
    other.force_login(person)
    assert 'data-palette="blue"' in text_of(other.get("/"))
    assert 'data-theme="system"' in text_of(other.get("/"))


def test_a_change_of_one_value_keeps_the_others(client, db):
    client.post(reverse("change-look"), {"theme": "dark"})
    client.post(reverse("change-look"), {"palette": "blue"})
    assert client.cookies["look"].value == "dark|blue|roomy|UTC"


@pytest.mark.parametrize("cookie", ["", "x|y|z|Mars/Base", "dark", "|||../../etc/passwd", "a" * 4000])
def test_an_invalid_cookie_gives_the_default(client, tickers, store, cookie):
    client.cookies["look"] = cookie
    assert client.get("/").status_code == 200


def test_invalid_values_are_replaced_by_the_default():
    assert make_appearance({"theme": "pink", "zone": None, "density": 3}) == Appearance()
    assert make_appearance({"zone": "America/New_York"}).zone == "America/New_York"
    assert zones()[0] == "UTC"


@pytest.mark.parametrize("typed", ["America/New_York", "america/new york", " New York "])
def test_a_time_zone_is_found_by_its_name_or_its_place(client, db, typed):
    client.post(reverse("change-look"), {"zone": typed})
    assert client.cookies["look"].value == "system|green|roomy|America/New_York"


@pytest.mark.parametrize("typed", ["Mars/Base", "Louisville/", "x" * 100_000])
def test_an_unknown_time_zone_is_explained_and_changes_nothing(client, db, typed):
    client.post(reverse("change-look"), {"zone": "Europe/Berlin"})
    html = text_of(client.post(reverse("change-look"), {"zone": typed}, follow=True))
    assert "The time zone was not changed" in html
    assert client.cookies["look"].value == "system|green|roomy|Europe/Berlin"


@pytest.mark.parametrize(("name", "page"), [("import-preview", "transfer"), ("change-email", "settings")])
def test_a_page_that_answers_a_form_is_never_a_blank_405_when_it_is_returned_to(client, person, tickers, name, page):
    client.force_login(person)
    response = client.post(reverse("change-look"), {"theme": "dark", "next": reverse(name)}, follow=True)
    assert response.status_code == 200
    assert response.redirect_chain[-1][0] == reverse(page)


def test_time_zones_can_be_searched_by_typing(client, db):
    html = text_of(client.get(reverse("settings")))
    assert re.search(r'<input id="zone" name="zone" list="zones" value="UTC"', html)
    assert '<option value="Europe/Berlin">' in html


def test_a_change_of_appearance_never_redirects_to_another_site(client, db):
    response = client.post(reverse("change-look"), {"next": "https://example.org/"})
    assert response.headers["Location"] == reverse("settings")


@pytest.mark.parametrize("name", ["settings", "transfer", "password-reset", "sign-in", "sign-up", "delete-account"])
@pytest.mark.parametrize("signed_in", [False, True])
def test_every_page_states_that_prices_are_simulated(client, person, tickers, name, signed_in):
    if signed_in:
        client.force_login(person)
    html = text_of(client.get(reverse(name), follow=True))
    assert '<meta name="robots" content="noindex">' in html
    assert "Simulated prices. Not investment advice. Not affiliated with any company or exchange shown." in html
    assert "simulated prices · stockwatch</title>" in html


@pytest.mark.parametrize("address", ["%", "x", "watchlist", "/s/A%", "\N{LATIN SMALL LETTER E WITH ACUTE}", "/a b"])
def test_a_change_of_the_look_returns_to_any_address_of_this_site(client, db, address):
    response = client.post(reverse("change-look"), {"theme": "dark", "next": address})
    assert response.status_code == 302
    assert not response["Location"].startswith("http")


@pytest.mark.parametrize("address", ["//evil.example/", "https://evil.example/", "javascript:alert(1)", ""])
def test_a_change_of_the_look_does_not_lead_to_another_site(client, db, address):
    assert client.post(reverse("change-look"), {"next": address})["Location"] == reverse("settings")
