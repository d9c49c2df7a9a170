"""`/api/v1/alerts`: create, read, pause, resume and delete alerts, and read firings."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from jsonschema import Draft202012Validator

from feeds.wire import Update, encode, stock_key
from tests.support.watchlist.tokens import bearer
from watchlist.alert_kinds import Kind
from watchlist.alert_models import Alert, Delivery, Firing
from watchlist.alerts.conditions import CREATABLE, LEVEL_KINDS, PERCENT_KINDS, WINDOW_KINDS
from watchlist.api.v1.document import build_document
from watchlist.formatting.moments import from_microseconds, to_microseconds

ALERTS = "/api/v1/alerts"
JSON = {"content_type": "application/json"}


@pytest.fixture
def headers(person, tickers, store) -> dict[str, str]:
    store.set(stock_key("AAPL"), encode(Update("AAPL", 150.0, 1_766_480_000_000_000, 1)))
    return bearer(person, "alerts")


@pytest.fixture
def create(client, headers):
    """Returns a function that creates an alert of AAPL, and returns the response."""

    def create(**values):
        body = {"symbol": "aapl", "kind": "up", "value": 160, **values}
        return client.post(ALERTS, body, headers=headers, **JSON)

    return create


def fits(schema, value):
    """Raises if a value does not match a schema of the document."""
    components = {"components": build_document()["components"]}
    Draft202012Validator({"$ref": f"#/components/schemas/{schema}"} | components).validate(value)


def problem_of(response):
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["detail"]


def fire(alert, arming, **values):
    moment = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
    more = {"side": -1, "price": 161.0, "timestamp": arming, "seq_id": arming, "source": "simulated"}
    return Firing.objects.create(
        alert_id=alert, arming=arming, evaluated_at=moment, recorded_at=moment, **{**more, **values}
    )


def test_an_alert_is_created_read_and_deleted(client, headers, create):
    response = create(note=" Sell  half ", repeat="each", cooldown_seconds=60.0)
    assert response.status_code == 201, response.content
    fits("ChangedAlert", response.json())
    alert = response.json()["alert"]
    assert response.json()["is_true"] is False
    assert (alert["symbol"], alert["kind"], alert["value"], alert["state"]) == ("AAPL", "up", 160.0, "active")
    assert (alert["note"], alert["cooldown_seconds"], alert["channels"]) == ("Sell half", 60, ["page"])
    assert (alert["price"], alert["level"]) == (150.0, 160.0)
    address = response.headers["Location"]
    assert client.get(address, headers=headers).json()["id"] == alert["id"]
    everything = client.get(ALERTS, headers=headers).json()
    fits("Alerts", everything)
    assert [each["id"] for each in everything["alerts"]] == [alert["id"]]
    assert client.delete(address, headers=headers).status_code == 204
    for method in (client.get, client.delete):
        assert problem_of(method(address, headers=headers))[0] == 404
    assert client.get(ALERTS, headers=headers).json() == {"alerts": []}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_that_can_be_created_is_accepted_and_no_other(create, kind):
    value = 160.0 if kind in LEVEL_KINDS else 5.0 if kind in PERCENT_KINDS else None
    response = create(kind=kind.value, value=value, window_seconds=600 if kind in WINDOW_KINDS else None)
    assert response.status_code == (201 if kind in CREATABLE else 422), response.content
    if kind in CREATABLE:
        fits("ChangedAlert", response.json())
        assert response.json()["alert"]["value"] == value


def test_an_alert_whose_condition_is_true_already_says_so(create):
    assert create(value=140).json()["is_true"] is True


@pytest.mark.parametrize(
    "values",
    [
        {"symbol": "NOPE"},
        {"symbol": ""},
        {"kind": "sideways"},
        {"value": 0},
        {"value": None},
        {"value": "160"},
        {"value": 1e300},
        {"window_seconds": 600},
        {"repeat": "often"},
        {"cooldown_seconds": 5},
        {"expires_at": 1},
        {"expires_at": 253_402_300_799_000_000},
        {"note": "x" * 201},
        {"note": "\x07"},
        {"note": "\ud800"},
        {"channels": []},
        {"channels": ["pigeon"]},
        {"channels": ["webhook"]},
        {"color": "red"},
    ],
)
def test_a_wrong_option_is_a_problem_and_creates_nothing(create, values):
    status, detail = problem_of(create(**values))
    assert (status, bool(detail)) == (422, True)
    assert not Alert.objects.exists()


def test_an_alert_expires_at_its_time(create):
    expiry = to_microseconds(timezone.now() + timedelta(days=1))
    alert = create(expires_at=expiry).json()["alert"]
    assert alert["expires_at"] == expiry
    assert from_microseconds(expiry) == Alert.objects.get().expires_at
    Alert.objects.update(expires_at=timezone.now() - timedelta(days=1))


def test_an_expired_alert_says_so_and_cannot_be_resumed(client, headers, create):
    address = create().headers["Location"]
    Alert.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert client.get(address, headers=headers).json()["state"] == "expired"
    status, detail = problem_of(client.patch(address, {"state": "active"}, headers=headers, **JSON))
    assert (status, "active" in detail or "expired" in detail) == (409, True)


def test_an_alert_is_paused_resumed_and_its_note_changed(client, headers, create):
    address = create().headers["Location"]

    def change(**values):
        response = client.patch(address, values, headers=headers, **JSON)
        assert response.status_code == 200, response.content
        fits("ChangedAlert", response.json())
        alert = response.json()["alert"]
        return alert["state"], alert["note"], response.json()["is_true"]

    assert change(note="a") == ("active", "a", False)
    assert change(state="paused", note="b") == ("paused", "b", False)
    assert change(state="paused") == ("paused", "b", False)
    assert change(state="active") == ("active", "b", False)
    assert change() == ("active", "b", False)
    for wrong in ({"note": "x" * 201}, {"state": "fired"}, {"state": "deleted"}, {"value": 1}):
        assert problem_of(client.patch(address, wrong, headers=headers, **JSON))[0] == 422
    Alert.objects.update(state="fired")
    assert problem_of(client.patch(address, {"state": "paused", "note": "c"}, headers=headers, **JSON))[0] == 409
    assert Alert.objects.get().note == "b"


def test_an_account_can_have_200_alerts(create, person):
    create()
    alert = Alert.objects.get()
    Alert.objects.bulk_create(Alert(owner=person, ticker=alert.ticker, kind="up", level=1.0) for _ in range(199))
    status, detail = problem_of(create())
    assert (status, "200" in detail) == (409, True)
    assert Alert.objects.count() == 200


def test_firings_are_read_page_by_page_with_their_deliveries(client, headers, create):
    alert = create().json()["alert"]["id"]
    firings = [fire(alert, arming) for arming in range(1, 6)]
    moment = timezone.now()
    Delivery.objects.create(firing=firings[4], channel="page", state="done", attempts=1, done_at=moment)
    Delivery.objects.create(firing=firings[4], channel="email", attempts=2, last_error="no answer")
    Alert.objects.update(state="deleted")
    found, query = [], {"limit": 2}
    while query is not None:
        response = client.get(f"{ALERTS}/firings", query, headers=headers)
        fits("Firings", response.json())
        found += response.json()["firings"]
        token = response.json()["next_page_token"]
        assert ("Link" in response.headers) == (token is not None)
        query = None if token is None else {"limit": 2, "page_token": token}
    assert [each["key"] for each in found] == [f"{alert}-{arming}" for arming in (5, 4, 3, 2, 1)]
    assert [each["channel"] for each in found[0]["deliveries"]] == ["page", "email"]
    assert found[0]["deliveries"][0] | {"attempts": 1, "done_at": to_microseconds(moment)} == found[0]["deliveries"][0]
    assert found[0]["deliveries"][1]["last_error"] == "no answer"
    assert found[0]["deliveries"][0]["next_attempt_at"] is None
    assert found[1]["deliveries"] == []


def test_a_firing_says_for_how_long_its_alert_was_blind(client, headers, create):
    alert = create().json()["alert"]["id"]
    fire(alert, 1)
    fire(alert, 2, blind_us=1_500_000)
    found = client.get(f"{ALERTS}/firings", headers=headers).json()["firings"]
    assert [each["blind_seconds"] for each in found] == [1.5, None]


def test_the_queries_for_firings_do_not_grow_with_their_number(client, headers, create, django_assert_max_num_queries):
    alert = create().json()["alert"]["id"]
    for arming in range(1, 31):
        Delivery.objects.create(firing=fire(alert, arming), channel="page")
    with django_assert_max_num_queries(5):
        assert len(client.get(f"{ALERTS}/firings", headers=headers).json()["firings"]) == 30


def test_firings_are_read_as_csv(client, headers, create):
    alert = create().json()["alert"]["id"]
    fire(alert, 1)
    text = client.get(f"{ALERTS}/firings", headers=headers | {"Accept": "text/csv"}).content.decode()
    assert text.splitlines()[0].startswith("id,key,alert,symbol,kind,level")
    assert f",{alert}-1,{alert},AAPL,up," in text


@pytest.mark.parametrize("token", ["x", "-1", "9" * 19, ""])
def test_a_wrong_page_token_is_refused(client, headers, token):
    assert problem_of(client.get(f"{ALERTS}/firings", {"page_token": token}, headers=headers))[0] == 422


def test_alerts_need_the_scope_alerts(client, person, headers):
    assert problem_of(client.get(ALERTS, headers=bearer(person, "read", "lists")))[0] == 403
    assert problem_of(client.get(ALERTS))[0] == 401


def test_an_id_beyond_every_database_is_unknown(client, headers):
    for method in (client.get, client.delete):
        assert problem_of(method(f"{ALERTS}/{10**30}", headers=headers))[0] == 404
    changed = client.patch(f"{ALERTS}/{10**30}", {"note": "x"}, headers=headers, **JSON)
    assert problem_of(changed)[0] == 404
