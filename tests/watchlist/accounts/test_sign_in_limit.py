import re
import time
import unicodedata

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import OperationalError
from django.test import Client, RequestFactory

from tests.support.waiting import wait_until
from watchlist.accounts.sign_in_limit import attempt_keys, write_wait
from watchlist.accounts.throttle import address_of

PASSWORD = "a long and private phrase"
NEW_PASSWORD = "another long and private phrase"


@pytest.fixture
def limits(settings, store, person):
    settings.SIGN_IN_FAILURES = 3
    return settings


def attempt(address: str = "192.0.2.1", name: str = "ada", password: str = "wrong", path: str = "/sign-in/", **headers):
    return Client(REMOTE_ADDR=address, headers=headers).post(path, {"username": name, "password": password})


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
def test_an_address_with_too_many_failures_is_blocked_with_retry_after(limits, path):
    started = time.monotonic()
    answers = [attempt(name=f"name{number}", path=path).status_code for number in range(4)]
    assert answers == [200, 200, 200, 429]
    refused = attempt(password=PASSWORD, path=path)
    elapsed = time.monotonic() - started
    assert refused.status_code == 429
    assert b"Try again in 10 minutes." in refused.content
    assert 599 - elapsed < int(refused["Retry-After"]) <= 600
    assert attempt("192.0.2.2", password=PASSWORD).status_code == 302


def test_a_name_with_too_many_failures_from_many_addresses_is_blocked(limits, store):
    names = ("ada", "\N{FULLWIDTH LATIN SMALL LETTER A}da", " ada ")
    answers = [attempt(f"192.0.2.{number // 3}", names[number % 3]).status_code for number in range(15)]
    assert answers == [200] * 15
    assert attempt("192.0.2.9", password=PASSWORD).status_code == 429
    assert max(store.pttl(key) for key in store.keys("throttle:sign-in-name:*")) <= 600_000


def test_one_address_alone_cannot_block_a_name_for_others(limits):
    assert [attempt().status_code for _ in range(30)] == [200] * 3 + [429] * 27
    assert attempt("192.0.2.2", password=PASSWORD).status_code == 302


def test_a_password_reset_by_email_unblocks_a_name(limits, person):
    for number in range(15):
        attempt(f"192.0.2.{number // 3}")
    person.email = "ada@example.org"
    person.save()
    client = Client(REMOTE_ADDR="192.0.2.9")
    client.post("/password/", {"email": person.email})
    wait_until(lambda: mail.outbox)
    address = re.search(r"/password/\S+/\S+/", mail.outbox[0].body)[0]
    form = client.get(address, follow=True).redirect_chain[-1][0]
    client.post(form, {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD})
    assert attempt("192.0.2.9", password=NEW_PASSWORD).status_code == 302


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
def test_an_attempt_during_a_database_outage_is_not_counted(limits, store, monkeypatch, path):
    def fail(*_arguments, **_options):
        raise OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr("django.contrib.auth.forms.authenticate", fail)
        assert [attempt(path=path).status_code for _ in range(5)] == [503] * 5
    assert {store.get(key) for key in store.keys("throttle:sign-in*")} == {b"0"}
    assert attempt(password=PASSWORD).status_code == 302


def test_an_attempt_of_a_blocked_address_is_not_counted_for_the_name(limits, store):
    for number in range(6):
        attempt(name=f"name{number}")
    assert len(store.keys("throttle:sign-in-name:*")) == 3


def test_no_response_reveals_whether_a_name_exists(limits):
    known, unknown = (
        [attempt(f"{net}.{number // 3}", name) for number in range(16)]
        for net, name in (("192.0.2", "ada"), ("198.51.100", "nobody"))
    )
    codes = [[answer.status_code for answer in answers] for answers in (known, unknown)]
    assert codes == [[200] * 15 + [429]] * 2
    pages = [re.sub(rb'token" value="\w+"', b"", answers[15].content) for answers in (known, unknown)]
    assert pages[0] == pages[1]


def test_a_correct_password_clears_the_names_count_and_one_of_the_address(limits, store):
    for _ in range(2):
        attempt()
    assert attempt(password=PASSWORD).status_code == 302
    assert store.get("throttle:sign-in:192.0.2.1") == b"2"
    assert store.keys("throttle:sign-in-name:*") == []
    attempt(name="grace")
    assert attempt(name="grace").status_code == 429


def test_a_signed_in_person_cannot_clear_the_count_of_another_account(limits, store):
    own = Client(REMOTE_ADDR="192.0.2.1")
    own.force_login(User.objects.create_user("mallory"))
    attempt()
    answer = own.post("/sign-in/", {"username": "ada", "password": "wrong"})
    assert answer.status_code == 302
    assert store.get("throttle:sign-in:192.0.2.1") == b"2"
    [name] = store.keys("throttle:sign-in-name:*")
    assert store.get(name) == b"2"


@pytest.mark.parametrize(("is_right", "wait"), [(True, 0), (False, 590)])
def test_attempts_that_are_still_checked_make_others_wait_for_seconds_only(limits, monkeypatch, is_right, wait):
    user = User.objects.get()
    user.backend = limits.AUTHENTICATION_BACKENDS[0]
    answers = []

    def check_during_another_attempt(*_arguments, **_options):
        if not answers:  # the innermost attempt is refused, so that the recursion ends
            answers.append(attempt())
        return user if is_right else None

    monkeypatch.setattr("django.contrib.auth.forms.authenticate", check_during_another_attempt)
    attempt()
    refused = answers[0]
    assert (refused.status_code, refused["Retry-After"]) == (429, "3")
    assert b"Try again in 3 seconds." in refused.content
    after = attempt()
    assert after.status_code == (302 if is_right else 429)
    assert int(after.get("Retry-After", 0)) >= wait


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
def test_without_redis_sign_in_is_not_limited(settings, person, path):
    User.objects.filter(pk=person.pk).update(is_staff=True)
    settings.REDIS = settings.REDIS | {"port": 1}
    assert attempt(path=path).status_code == 200
    assert attempt(password=PASSWORD, path=path).status_code == 302


def test_behind_a_trusted_proxy_each_client_is_counted_separately(limits):
    limits.GATEWAY_TRUSTED_PROXIES = ["10.0.0.0/8"]
    limits.REGISTRATION_PER_HOUR = 1
    for number in range(1, 4):
        for name in "abc":
            attempt("10.0.0.1", f"{name}{number}", x_forwarded_for=f"198.51.100.7, 203.0.113.{number}")
    assert attempt("10.0.0.1", "x", x_forwarded_for="203.0.113.1").status_code == 429
    assert attempt("10.0.0.1", password=PASSWORD, x_forwarded_for="203.0.113.9").status_code == 302
    form = {"password1": PASSWORD, "password2": PASSWORD}
    answers = [
        Client(REMOTE_ADDR="10.0.0.1", headers={"x-forwarded-for": address}).post(
            "/sign-up/", form | {"username": name}
        )
        for name, address in (("b", "2001:db8:1:2::3"), ("c", "2001:db8:1:2::4"), ("d", "2001:db8:1:3::3"))
    ]
    assert [answer.status_code for answer in answers] == [302, 429, 302]


def test_a_forwarded_address_is_ignored_without_a_trusted_proxy(limits):
    for number in range(3):
        attempt(name=f"name{number}", x_forwarded_for=f"203.0.113.{number}")
    assert attempt(name="other", x_forwarded_for="203.0.113.99").status_code == 429


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (61, "2 minutes")]
)
def test_waits_are_rounded_up(seconds, text):
    assert write_wait(seconds) == text


def test_an_account_with_a_similar_name_does_not_clear_the_count(limits, store):
    for name in ("bo\u00dfN", "bossN", "BOSSN"):
        User.objects.create_user(name, password=PASSWORD)
    attempt(name="bossN")
    [count] = store.keys("throttle:sign-in-name:*")
    for name in ("bo\u00dfN", "BOSSN"):
        assert attempt(name=name, password=PASSWORD).status_code == 302
    assert store.keys("throttle:sign-in-name:*") == [count]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/sign-in/", "username"),
        ("/admin/login/", "username"),
        ("/sign-up/", "username"),
        ("/password/", "email"),
        ("/list/add/", "symbol"),
        ("/lists/change/", "name"),
        ("/transfer/preview/", "text"),
    ],
)
def test_a_long_text_of_combining_characters_is_never_normalized(limits, tickers, monkeypatch, path, field):
    normalize = unicodedata.normalize
    lengths = []

    def record(form, text):
        lengths.append(len(text))
        return normalize(form, text[:200])

    monkeypatch.setattr("unicodedata.normalize", record)
    form = {
        "do": "open",
        "password": "x",
        "password1": PASSWORD,
        "password2": PASSWORD,
        field: "a" + "\u0301" * 160_000,
    }
    assert Client().post(path, form).status_code in {200, 302}
    assert max(lengths, default=0) <= 150


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
def test_a_name_that_no_account_can_have_costs_no_hash_and_is_answered_like_a_wrong_one(limits, monkeypatch, path):
    hashed = []
    monkeypatch.setattr("django.contrib.auth.backends.ModelBackend.authenticate", lambda *_, **__: hashed.append(1))
    answers = [attempt(name=name, path=path).content.decode() for name in ("a" * 150, "a" * 151)]
    assert hashed == [1]
    assert all("Note that both fields may be case-sensitive." in answer for answer in answers)
    assert [attempt(name="a" * 151, path=path).status_code for _ in range(2)] == [200, 429]


QUESTIONS = {
    "/settings/delete/": "password",
    "/settings/email/": "password",
    "/settings/password/": "old_password",
    "/admin/password_change/": "old_password",
}


@pytest.mark.parametrize("path", QUESTIONS)
def test_every_question_for_the_password_has_the_limit_of_sign_in(limits, person, store, path):
    User.objects.update(is_staff=True)
    client = Client(REMOTE_ADDR="192.0.2.1")
    client.force_login(person)
    form = {QUESTIONS[path]: "wrong", "email": "a@example.org"}
    assert [client.post(path, form).status_code for _ in range(4)] == [200] * 3 + [429]
    assert attempt(password=PASSWORD).status_code == 429
    assert User.objects.get().email == ""


@pytest.mark.parametrize("path", QUESTIONS)
def test_a_right_password_in_settings_is_not_counted(limits, person, store, path):
    User.objects.update(is_staff=True)
    client = Client(REMOTE_ADDR="192.0.2.1")
    client.force_login(person)
    new = {"email": "a@example.org", "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert client.post(path, new | {QUESTIONS[path]: PASSWORD}).status_code == 302
    assert store.get("throttle:sign-in:192.0.2.1") == b"0"


@pytest.mark.parametrize("path", ["/settings/email/", "/settings/password/"])
def test_another_mistake_beside_the_right_password_is_not_counted(limits, person, store, path):
    client = Client(REMOTE_ADDR="192.0.2.1")
    client.force_login(person)
    form = {QUESTIONS[path]: PASSWORD, "email": "nonsense", "new_password1": "a", "new_password2": "b"}
    assert [client.post(path, form).status_code for _ in range(4)] == [200] * 4


def sign_up(name: str) -> int:
    form = {"username": name, "password1": PASSWORD, "password2": PASSWORD}
    return Client(REMOTE_ADDR="192.0.2.1").post("/sign-up/", form).status_code


def test_asking_whether_names_are_taken_has_the_limit_of_sign_in(limits, store):
    assert [sign_up("ada") for _ in range(4)] == [200] * 3 + [429]
    assert sign_up("grace") == 429


def test_other_mistakes_at_sign_up_are_not_counted(limits, store):
    assert [sign_up("a b") for _ in range(4)] == [200] * 4
    assert sign_up("grace") == 302


@pytest.mark.parametrize(
    ("stored", "name"), [("bo\u00dfN", "bossN"), ("bossN", "BO\u00dfn"), ("\u00c9mile", "\u00e9mile")]
)
def test_a_name_that_folds_to_a_taken_one_is_refused(limits, store, stored, name):
    User.objects.create_user(stored)
    assert sign_up(name) == 200
    assert not User.objects.filter(username=name).exists()


def test_an_address_can_start_600_sessions_an_hour(limits, tickers, store):
    store.set("throttle:session:192.0.2.1", 598, ex=3600)
    clients = [Client(REMOTE_ADDR="192.0.2.1") for _ in range(4)]
    for client in clients[:2]:
        client.post("/list/add/", {"symbol": "T8"})
    refused = clients[2].post("/list/add/", {"symbol": "T8"}, follow=True)
    assert "Too many visitors came from your address" in refused.content.decode()
    clients[3].post("/list/add/", {"symbol": "Inc"})
    assert Session.objects.count() == 2
    clients[0].post("/list/add/", {"symbol": "T7"})
    assert b'data-symbol="T7"' in clients[0].get("/").content


def test_the_operator_can_change_how_many_sessions_an_address_can_start(limits, tickers, store):
    limits.VISITOR_SESSIONS_PER_HOUR = 1
    for client in (Client(REMOTE_ADDR="192.0.2.1") for _ in range(3)):
        client.post("/list/add/", {"symbol": "T8"})
    assert Session.objects.count() == 1


def test_keys_of_names_are_short_and_distinct():
    keys = [attempt_keys(RequestFactory().post("/", {"username": name}))[1] for name in ("x" * 10_000, "\0", "", "x")]
    assert len(set(keys)) == 4
    assert all(len(key) < 60 for key in keys)


def test_a_request_without_a_peer_address_is_counted_as_unknown():
    assert address_of(RequestFactory().get("/", REMOTE_ADDR="")) == "unknown"
