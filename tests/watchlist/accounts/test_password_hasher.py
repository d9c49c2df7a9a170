"""Argon2 hashes of passwords, and how many of them a process computes at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2.exceptions import HashingError
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password
from django.contrib.auth.models import User
from django.test import Client

from tests.support.waiting import wait_until
from tests.support.watchlist.tokens import bearer
from watchlist.accounts import password_hasher
from watchlist.accounts.password_hasher import HashLimit
from watchlist.errors import TooManyHashes

PASSWORD = "a long and private phrase"
FORM = {"username": "ada", "password": PASSWORD}


@pytest.fixture
def ada(db) -> User:
    """An account whose hash is of the kind that earlier versions stored."""
    return User.objects.create(username="ada", password=make_password(PASSWORD, hasher="pbkdf2_sha256"))


class HeldHashes:
    """Holds each hash until `release`, and counts how many hashes have begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self.release = threading.Event()
        encode = Argon2PasswordHasher.encode

        def hold(hasher: Argon2PasswordHasher, password: str, salt: str) -> str:
            self.begun += 1
            assert self.release.wait(60)
            return encode(hasher, password, salt)

        monkeypatch.setattr(Argon2PasswordHasher, "encode", hold)


def limit_hashes(monkeypatch: pytest.MonkeyPatch, max_hashes: int, wait_seconds: float) -> None:
    monkeypatch.setattr(password_hasher, "PROCESS_LIMIT", HashLimit(max_hashes, wait_seconds))


def test_a_new_password_has_an_argon2id_hash_of_100_mib():
    assert make_password(PASSWORD).startswith("argon2$argon2id$v=19$m=102400,t=2,p=8$")


def test_an_old_hash_is_replaced_when_its_owner_signs_in(client, ada, store):
    assert client.post("/sign-in/", FORM).status_code == 302
    ada.refresh_from_db()
    assert ada.password.startswith("argon2$argon2id$")
    assert Client().post("/sign-in/", FORM).status_code == 302
    assert client.get("/settings/").wsgi_request.user == ada


def test_a_wrong_password_replaces_no_hash(client, ada, store):
    before = ada.password
    assert client.post("/sign-in/", FORM | {"password": "wrong"}).status_code == 200
    ada.refresh_from_db()
    assert ada.password == before


def test_two_hashes_run_at_once_and_the_others_follow(monkeypatch):
    limit_hashes(monkeypatch, 2, 60.0)
    held = HeldHashes(monkeypatch)
    with ThreadPoolExecutor(6) as threads:
        hashes = [threads.submit(make_password, PASSWORD) for _ in range(6)]
        wait_until(lambda: held.begun == 2, 60)
        monkeypatch.setattr(password_hasher.PROCESS_LIMIT, "wait_seconds", 0.0)
        with pytest.raises(TooManyHashes):
            make_password(PASSWORD)
        assert held.begun == 2
        held.release.set()
        waited = [hashed for hashed in hashes if hashed.exception(60) is None]
    assert len(waited) >= 2
    assert held.begun == len(waited)


def test_a_check_counts_like_a_new_hash(monkeypatch):
    encoded = make_password(PASSWORD)
    limit_hashes(monkeypatch, 1, 0.0)
    with password_hasher.PROCESS_LIMIT.take(), pytest.raises(TooManyHashes):
        check_password(PASSWORD, encoded)
    assert check_password(PASSWORD, encoded)


def test_a_failed_hash_frees_its_place(monkeypatch):
    limit_hashes(monkeypatch, 1, 0.0)
    with pytest.raises(HashingError):
        make_password(PASSWORD, salt="$")
    assert make_password(PASSWORD)


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
def test_a_sign_in_that_waits_too_long_is_told_to_come_again_and_not_counted(ada, store, monkeypatch, path):
    User.objects.update(password=make_password(PASSWORD), is_staff=True)
    limit_hashes(monkeypatch, 1, 0.0)
    with password_hasher.PROCESS_LIMIT.take():
        busy = Client().post(path, FORM)
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "3")
    assert b"Your password was not checked" in busy.content
    assert {store.get(key) for key in store.keys("throttle:sign-in*")} == {b"0"}
    assert Client().post(path, FORM).status_code == 302


def test_personal_tokens_need_no_place(client, ada, tickers, store, monkeypatch):
    limit_hashes(monkeypatch, 1, 0.0)
    headers = bearer(ada)
    with password_hasher.PROCESS_LIMIT.take():
        assert client.get("/api/v1/lists", headers=headers).status_code == 200
