"""Calls every operation of the document with the token of another person."""

import json

import pytest
from django.contrib.auth.models import User

from tests.support.watchlist.private_data import SECRET, dump_private_data, make_private_data
from tests.support.watchlist.tokens import bearer
from watchlist.accounts.tokens import SCOPES
from watchlist.api.v1.document import build_document, iterate_operations

OPERATIONS = [(method, path) for method, path, _ in iterate_operations(build_document())]
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
BODIES = [
    None,
    {"name": "taken over"},
    {"name": "taken over", "symbols": ["MSFT"], "position": 0},
    {"symbols": ["MSFT"]},
    {"position": 0},
    {"state": "paused", "note": "taken over"},
    {"symbol": "AAPL", "kind": "up", "value": 1.0, "note": "taken over"},
]


@pytest.fixture
def victim(person, tickers, store) -> dict[str, str]:
    """The ids of the only list, and of the only alert, of a person. Name, note and firing are secret."""
    ids = make_private_data(person)
    return {"{list_id}": ids["list"], "{alert_id}": ids["alert"], "{symbol}": "AAPL"}


def fill(path: str, victim: dict[str, str]) -> str:
    for name, value in victim.items():
        path = path.replace(name, value)
    return path


@pytest.mark.parametrize("scopes", [*((scope,) for scope in SCOPES), tuple(SCOPES)], ids="+".join)
@pytest.mark.parametrize("path", sorted({path for _, path in OPERATIONS}))
def test_another_person_s_token_reads_and_writes_nothing(client, person, victim, path, scopes):
    headers = bearer(User.objects.create_user("eve"), *scopes)
    address = fill(path, victim)
    before = dump_private_data(person)
    for method in METHODS:
        for body in BODIES:
            data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
            response = client.generic(method.upper(), f"{address}?symbols=AAPL", headers=headers, **data)
            assert SECRET not in response.content.decode()
            if "_id}" in path and method != "options":
                assert response.status_code in {400, 403, 404, 405, 422}
    assert dump_private_data(person) == before


@pytest.mark.parametrize("authorization", ["", "Bearer sw_" + "A" * 43, "Basic YWRhOmE="])
def test_without_a_valid_token_no_list_or_alert_is_read_or_written(client, person, victim, authorization):
    before = dump_private_data(person)
    for method, path, operation in iterate_operations(build_document()):
        if {} in operation["security"]:
            continue
        response = client.generic(
            method.upper(),
            fill(path, victim),
            '{"name":"x"}',
            "application/json",
            headers={"Authorization": authorization},
        )
        assert response.status_code == 401
        assert SECRET not in response.content.decode()
    assert dump_private_data(person) == before
