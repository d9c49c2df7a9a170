from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from feeds.models import Ticker
from watchlist.alert_kinds import Kind, Repeat, Side
from watchlist.alert_models import Alert
from watchlist.alerts.account_alerts import AccountAlerts
from watchlist.alerts.conditions import AlertOptions
from watchlist.alerts.level_changes import change_level
from watchlist.errors import BadAlert, NoSuchAlert

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def put_price(put_price: Callable[..., None]) -> Callable[[float, int], None]:
    """Returns a function that sets the quote of AAPL at a seq_id."""
    return lambda price, seq_id: put_price("AAPL", price, seq_id=seq_id)


@pytest.fixture
def make_alert(person: User, tickers: list[Ticker], put_price: Callable[[float, int], None]) -> Callable[..., Alert]:
    """Returns a function that creates an alert on AAPL at a quote of 199 with seq_id 7."""

    def make_alert(kind: Kind = Kind.UP, value: float | None = 200.0, **options) -> Alert:
        put_price(199.0, 7)
        return AccountAlerts(person).create("AAPL", AlertOptions(kind, value, **options), NOW).alert

    return make_alert


def test_the_alert_keeps_its_id_and_is_armed_anew_at_the_quote(make_alert, person: User, put_price):
    alert = make_alert(repeat=Repeat.EACH)
    Alert.objects.update(silent_until=99)
    put_price(205.0, 8)
    assert not change_level(person, alert.pk, 210.0, LATER)
    moved = Alert.objects.get()
    assert (moved.pk, moved.level, moved.state, moved.side) == (alert.pk, 210.0, "active", Side.BELOW)
    assert (moved.arming, moved.since_seq_id, moved.silent_until) == (2, 8, 0)
    assert (moved.version, moved.changed_at) == (2, LATER)
    assert (moved.repeat, moved.cooldown_seconds) == ("each", 300)


def test_a_level_that_the_price_has_passed_disarms_the_alert(make_alert, person: User):
    alert = make_alert()
    assert change_level(person, alert.pk, 199.0, LATER)
    moved = Alert.objects.get()
    assert (moved.side, moved.arming) == (Side.NONE, 1)


def test_without_a_quote_the_first_update_arms_the_alert(make_alert, person: User, store):
    alert = make_alert()
    store.flushall()
    assert not change_level(person, alert.pk, 150.0, LATER)
    moved = Alert.objects.get()
    assert (moved.side, moved.arming, moved.since_timestamp) == (Side.NONE, 1, LATER.timestamp() * 1e6)


@pytest.mark.parametrize("state", ["fired", "failed"])
def test_a_fired_or_failed_alert_becomes_active(make_alert, person: User, state: str):
    alert = make_alert()
    Alert.objects.update(state=state, state_reason="x", side=0)
    change_level(person, alert.pk, 210.0, LATER)
    moved = Alert.objects.get()
    assert (moved.state, moved.state_reason, moved.side) == ("active", "", Side.BELOW)


def test_a_paused_alert_stays_paused(make_alert, person: User):
    alert = make_alert()
    AccountAlerts(person).pause(alert.pk, NOW)
    assert not change_level(person, alert.pk, 100.0, LATER)
    moved = Alert.objects.get()
    assert (moved.state, moved.level, moved.arming, moved.version) == ("paused", 100.0, 1, 3)
    assert AccountAlerts(person).resume(alert.pk, LATER)


@pytest.mark.parametrize("level", [0.0, -1.0, 1e12, float("nan"), float("inf")])
def test_a_level_that_is_not_allowed_is_refused(make_alert, person: User, level: float):
    alert = make_alert()
    with pytest.raises(BadAlert, match="A level is above 0"):
        change_level(person, alert.pk, level, LATER)
    assert Alert.objects.get().level == 200.0


def test_an_alert_without_a_level_of_its_own_cannot_be_moved(make_alert, person: User):
    alert = make_alert(Kind.DAY_PERCENT, 5.0)
    with pytest.raises(BadAlert, match="follows from prices"):
        change_level(person, alert.pk, 210.0, LATER)


@pytest.mark.parametrize("state", ["active", "expired"])
def test_an_expired_alert_cannot_be_moved(make_alert, person: User, state: str):
    alert = make_alert(expires_at=NOW + timedelta(seconds=30))
    Alert.objects.update(state=state)
    with pytest.raises(BadAlert, match="has expired"):
        change_level(person, alert.pk, 210.0, LATER)


def test_the_alert_of_another_account_and_a_deleted_one_cannot_be_moved(make_alert, person: User, django_user_model):
    alert = make_alert()
    stranger = django_user_model.objects.create_user("grace")
    with pytest.raises(NoSuchAlert):
        change_level(stranger, alert.pk, 210.0, LATER)
    AccountAlerts(person).delete(alert.pk, NOW)
    with pytest.raises(NoSuchAlert):
        change_level(person, alert.pk, 210.0, LATER)
    assert Alert.objects.get().level == 200.0
