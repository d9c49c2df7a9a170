from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection

from watchlist.accounts import tokens
from watchlist.errors import TooManyTokens
from watchlist.models import ApiToken

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def token(person) -> str:
    return tokens.create_token(person, "script", ["lists", "read"], NOW)


def test_a_token_is_found_and_only_its_hash_is_stored(person, token):
    found = tokens.find_token(token)
    assert (found.owner, found.name, found.scope_names, found.created) == (person, "script", ["read", "lists"], NOW)
    assert token not in str(ApiToken.objects.values_list().get())


def test_other_texts_are_no_tokens(token):
    for text in ("", "sw_", token[:-1], token + "A", token.swapcase(), "sw_" + "é" * 43, "x" * 100_000):
        assert tokens.find_token(text) is None


def test_a_revoked_token_and_the_token_of_an_inactive_account_are_not_found(person, token):
    User.objects.update(is_active=False)
    assert tokens.find_token(token) is None
    User.objects.update(is_active=True)
    assert tokens.revoke_token(person, ApiToken.objects.get().pk, NOW) == "script"
    assert tokens.find_token(token) is None


def test_a_person_cannot_revoke_a_token_twice_or_the_token_of_another_person(person, token):
    key = ApiToken.objects.get().pk
    assert tokens.revoke_token(User.objects.create_user("eve"), key, NOW) is None
    assert tokens.revoke_token(person, key, NOW) == "script"
    assert tokens.revoke_token(person, key, NOW) is None


def test_an_account_has_at_most_20_valid_tokens_and_20_revoked_ones(person):
    for number in range(45):
        tokens.create_token(person, str(number), ["read"], NOW)
        if number >= 19:
            key = ApiToken.objects.filter(revoked=None).latest("id").pk
            tokens.revoke_token(person, key, NOW + timedelta(seconds=number))
    assert ApiToken.objects.filter(revoked=None).count() == 19
    revoked = ApiToken.objects.exclude(revoked=None).values_list("name", flat=True)
    assert sorted(map(int, revoked)) == list(range(25, 45))
    tokens.create_token(person, "last", ["read"], NOW)
    with pytest.raises(TooManyTokens, match="20 tokens"):
        tokens.create_token(person, "one more", ["read"], NOW)


def test_the_last_use_is_stored_once_a_minute(person, token):
    for seconds, stored in [(0, 0), (59, 0), (60, 60), (90, 60), (121, 121)]:
        tokens.note_use(tokens.find_token(token), NOW + timedelta(seconds=seconds))
        assert ApiToken.objects.get().last_used == NOW + timedelta(seconds=stored)


@pytest.mark.django_db(transaction=True)
def test_a_request_goes_on_if_its_use_cannot_be_stored(token):
    found = tokens.find_token(token)

    def refuse(*_arguments):
        raise DatabaseError("the database is read-only")

    with connection.execute_wrapper(refuse):
        tokens.note_use(found, NOW)
    assert ApiToken.objects.get().last_used is None
