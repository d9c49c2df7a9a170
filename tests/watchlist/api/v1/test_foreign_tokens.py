"""Calls every operation of the document with the token of another person."""

import json

import pytest
from django.contrib.auth.models import User
from django.core import serializers

from tests.support.watchlist.tokens import bearer
from watchlist.accounts.tokens import SCOPES
from watchlist.api.v1.document import build_document, iterate_operations
from watchlist.lists.storage import AccountLists
from watchlist.models import ApiToken, Entry, Watchlist

OPERATIONS = [(method, path) for method, path, _ in iterate_operations(build_document())]
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
SECRET = "Secret plan"
BODIES = [
    None,
    {"name": "taken over"},
    {"name": "taken over", "symbols": ["MSFT"], "position": 0},
    {"symbols": ["MSFT"]},
    {"position": 0},
]


@pytest.fixture
def victim(person, tickers, store) -> int:
    """The id of the only list of a person. The list has a secret name and one symbol."""
    bearer(person)
    store = AccountLists(person)
    store.change(lambda lists: lists.rename(0, SECRET))
    row = Watchlist.objects.get()
    store.change(lambda lists: lists.replace(lists.find(row.pk).remove("T5")))
    return row.pk


def dump(person: User) -> str:
    """Returns everything that the database holds of a person, except the account's row."""
    rows = [
        *Watchlist.objects.filter(owner=person),
        *Entry.objects.filter(watchlist__owner=person).order_by("pk"),
        *ApiToken.objects.filter(owner=person),
    ]
    return serializers.serialize("json", rows)


@pytest.mark.parametrize("scopes", [*((scope,) for scope in SCOPES), tuple(SCOPES)], ids="+".join)
@pytest.mark.parametrize("path", sorted({path for _, path in OPERATIONS}))
def test_another_person_s_token_reads_and_writes_nothing(client, person, victim, path, scopes):
    headers = bearer(User.objects.create_user("eve"), *scopes)
    address = path.replace("{list_id}", str(victim)).replace("{symbol}", "AAPL")
    before = dump(person)
    for method in METHODS:
        for body in BODIES:
            data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
            response = client.generic(method.upper(), f"{address}?symbols=AAPL", headers=headers, **data)
            assert SECRET not in response.content.decode()
            if "{list_id}" in path and method != "options":
                assert response.status_code in {400, 403, 404, 405, 422}
    assert dump(person) == before


@pytest.mark.parametrize("authorization", ["", "Bearer sw_" + "A" * 43, "Basic YWRhOmE="])
def test_without_a_valid_token_no_list_is_read_or_written(client, person, victim, authorization):
    before = dump(person)
    for method, path, operation in iterate_operations(build_document()):
        if {} in operation["security"]:
            continue
        address = path.replace("{list_id}", str(victim)).replace("{symbol}", "AAPL")
        response = client.generic(
            method.upper(), address, '{"name":"x"}', "application/json", headers={"Authorization": authorization}
        )
        assert response.status_code == 401
        assert SECRET not in response.content.decode()
    assert dump(person) == before
