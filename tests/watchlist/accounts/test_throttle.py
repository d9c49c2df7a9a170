import re

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import OperationalError
from django.test import Client, RequestFactory

from watchlist.accounts.throttle import address_of, attempt_keys, name_wait

PASSWORD = "a long and private phrase"
NEW = "another long and private phrase"


@pytest.fixture
def few(settings, store, person):
    settings.SIGN_IN_FAILURES = 3
    return settings


def attempt(
    address: str = "192.0.2.1", name: str = "ada", password: str = "wrong", where: str = "/sign-in/", **headers
):
    return Client(REMOTE_ADDR=address, headers=headers).post(where, {"username": name, "password": password})


@pytest.mark.parametrize("where", ["/sign-in/", "/admin/login/"])
def test_an_address_that_failed_often_is_told_how_long_to_wait(few, where):
    answers = [attempt(name=f"name{number}", where=where).status_code for number in range(4)]
    assert answers == [200, 200, 200, 429]
    refused = attempt(password=PASSWORD, where=where)
    assert refused.status_code == 429
    assert b"Try again in 10 minutes." in refused.content
    assert 590 < int(refused["Retry-After"]) <= 600
    assert attempt("192.0.2.2", password=PASSWORD).status_code == 302


def test_a_name_that_was_guessed_at_from_everywhere_is_closed_for_a_while(few, store):
    names = ("ada", "ADA", " ada ")
    answers = [attempt(f"192.0.2.{number // 3}", names[number % 3]).status_code for number in range(15)]
    assert answers == [200] * 15
    assert attempt("192.0.2.9", password=PASSWORD).status_code == 429
    assert max(store.pttl(key) for key in store.keys("throttle:sign-in-name:*")) <= 600_000


def test_one_address_alone_closes_no_name_to_others(few):
    assert [attempt().status_code for _ in range(30)] == [200] * 3 + [429] * 27
    assert attempt("192.0.2.2", password=PASSWORD).status_code == 302


def test_a_new_password_by_letter_opens_a_closed_name(few, person):
    for number in range(15):
        attempt(f"192.0.2.{number // 3}")
    person.email = "ada@example.org"
    person.save()
    client = Client(REMOTE_ADDR="192.0.2.9")
    client.post("/password/", {"email": person.email})
    address = re.search(r"/password/\S+/\S+/", mail.outbox[0].body)[0]
    form = client.get(address, follow=True).redirect_chain[-1][0]
    client.post(form, {"new_password1": NEW, "new_password2": NEW})
    assert attempt("192.0.2.9", password=NEW).status_code == 302


@pytest.mark.parametrize("where", ["/sign-in/", "/admin/login/"])
def test_an_attempt_that_the_database_did_not_answer_counts_for_nobody(few, store, monkeypatch, where):
    def fail(*_arguments, **_options):
        raise OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr("django.contrib.auth.forms.authenticate", fail)
        assert [attempt(where=where).status_code for _ in range(5)] == [503] * 5
    assert {store.get(key) for key in store.keys("throttle:sign-in*")} == {b"0"}
    assert attempt(password=PASSWORD).status_code == 302


def test_a_refused_attempt_counts_for_nobody_else(few, store):
    for number in range(6):
        attempt(name=f"name{number}")
    assert len(store.keys("throttle:sign-in-name:*")) == 3


def test_no_answer_tells_whether_a_name_exists(few):
    known, unknown = (
        [attempt(f"{net}.{number // 3}", name) for number in range(16)]
        for net, name in (("192.0.2", "ada"), ("198.51.100", "nobody"))
    )
    codes = [[answer.status_code for answer in answers] for answers in (known, unknown)]
    assert codes == [[200] * 15 + [429]] * 2
    pages = [re.sub(rb'token" value="\w+"', b"", answers[15].content) for answers in (known, unknown)]
    assert pages[0] == pages[1]


def test_the_right_password_ends_the_count_of_its_name_and_takes_back_one_of_the_address(few, store):
    for _ in range(2):
        attempt()
    assert attempt(password=PASSWORD).status_code == 302
    assert store.get("throttle:sign-in:192.0.2.1") == b"2"
    assert store.keys("throttle:sign-in-name:*") == []
    attempt(name="grace")
    assert attempt(name="grace").status_code == 429


def test_who_is_signed_in_cannot_clear_the_count_of_another(few, store):
    own = Client(REMOTE_ADDR="192.0.2.1")
    own.force_login(User.objects.create_user("mallory"))
    attempt()
    answer = own.post("/sign-in/", {"username": "ada", "password": "wrong"})
    assert answer.status_code == 302
    assert store.get("throttle:sign-in:192.0.2.1") == b"2"
    [name] = store.keys("throttle:sign-in-name:*")
    assert store.get(name) == b"2"


@pytest.mark.parametrize("where", ["/sign-in/", "/admin/login/"])
def test_without_redis_people_sign_in(settings, person, where):
    User.objects.filter(pk=person.pk).update(is_staff=True)
    settings.REDIS = settings.REDIS | {"port": 1}
    assert attempt(where=where).status_code == 200
    assert attempt(password=PASSWORD, where=where).status_code == 302


def test_behind_a_trusted_proxy_each_visitor_counts_by_himself(few):
    few.GATEWAY_TRUSTED_PROXIES = ["10.0.0.0/8"]
    few.REGISTRATION_PER_HOUR = 1
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


def test_a_forwarded_address_is_ignored_while_no_proxy_is_trusted(few):
    for number in range(3):
        attempt(name=f"name{number}", x_forwarded_for=f"203.0.113.{number}")
    assert attempt(name="other", x_forwarded_for="203.0.113.99").status_code == 429


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (61, "2 minutes")]
)
def test_waits_are_told_rounded_up(seconds, words):
    assert name_wait(seconds) == words


def test_names_of_any_length_and_any_text_have_short_keys():
    keys = [attempt_keys(RequestFactory().post("/", {"username": name}))[1] for name in ("x" * 10_000, "\0", "", "x")]
    assert len(set(keys)) == 4
    assert all(len(key) < 60 for key in keys)


def test_a_request_without_a_peer_still_counts_for_somebody():
    assert address_of(RequestFactory().get("/", REMOTE_ADDR="")) == "unknown"
