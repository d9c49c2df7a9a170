"""Calls every operation of the document with the token of another person."""

import json

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.utils import timezone

from tests.support.watchlist.tokens import bearer
from watchlist.accounts.tokens import SCOPES
from watchlist.alert_kinds import Kind
from watchlist.alert_models import Alert, Delivery, Firing
from watchlist.alerts.account_alerts import AccountAlerts
from watchlist.alerts.conditions import AlertOptions
from watchlist.api.v1.document import build_document, iterate_operations
from watchlist.lists.share_links import make_link
from watchlist.lists.storage import AccountLists
from watchlist.models import ApiToken, Entry, ShareLink, Watchlist

OPERATIONS = [(method, path) for method, path, _ in iterate_operations(build_document())]
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
SECRET = "Secret plan"
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
    bearer(person)
    store = AccountLists(person)
    store.change(lambda lists: lists.rename(0, SECRET))
    row = Watchlist.objects.get()
    store.change(lambda lists: lists.replace(lists.find(row.pk).remove("T5").write_note("AAPL", SECRET)))
    make_link(row.pk)
    options = AlertOptions(Kind.UP, 1.0, note=SECRET)
    alert = AccountAlerts(person).create("AAPL", options, timezone.now()).alert
    firing = Firing.objects.create(
        alert=alert, arming=1, side=1, price=1.0, timestamp=1, seq_id=1, source=SECRET, evaluated_at=timezone.now()
    )
    Delivery.objects.create(firing=firing, channel="page", last_error=SECRET)
    return {"{list_id}": str(row.pk), "{alert_id}": str(alert.pk), "{symbol}": "AAPL"}


def fill(path: str, victim: dict[str, str]) -> str:
    for name, value in victim.items():
        path = path.replace(name, value)
    return path


def dump(person: User) -> str:
    """Returns everything that the database holds of a person, except the account's row."""
    rows = [
        *Watchlist.objects.filter(owner=person),
        *Entry.objects.filter(watchlist__owner=person).order_by("pk"),
        *ShareLink.objects.filter(watchlist__owner=person),
        *ApiToken.objects.filter(owner=person),
        *Alert.objects.filter(owner=person),
        *Firing.objects.filter(alert__owner=person),
        *Delivery.objects.filter(firing__alert__owner=person),
    ]
    return serializers.serialize("json", rows)


@pytest.mark.parametrize("scopes", [*((scope,) for scope in SCOPES), tuple(SCOPES)], ids="+".join)
@pytest.mark.parametrize("path", sorted({path for _, path in OPERATIONS}))
def test_another_person_s_token_reads_and_writes_nothing(client, person, victim, path, scopes):
    headers = bearer(User.objects.create_user("eve"), *scopes)
    address = fill(path, victim)
    before = dump(person)
    for method in METHODS:
        for body in BODIES:
            data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
            response = client.generic(method.upper(), f"{address}?symbols=AAPL", headers=headers, **data)
            assert SECRET not in response.content.decode()
            if "_id}" in path and method != "options":
                assert response.status_code in {400, 403, 404, 405, 422}
    assert dump(person) == before


@pytest.mark.parametrize("authorization", ["", "Bearer sw_" + "A" * 43, "Basic YWRhOmE="])
def test_without_a_valid_token_no_list_or_alert_is_read_or_written(client, person, victim, authorization):
    before = dump(person)
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
    assert dump(person) == before
