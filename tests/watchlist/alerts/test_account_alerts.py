from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import ProtectedError

from feeds.models import DayBar, Tape, Ticker
from watchlist.alert_kinds import Channel, Kind, Repeat, Side, State
from watchlist.alert_models import Alert, Firing
from watchlist.alerts import account_alerts
from watchlist.alerts.account_alerts import AccountAlerts
from watchlist.alerts.conditions import AlertOptions
from watchlist.alerts.engine_state import EngineState, EngineStates
from watchlist.errors import BadAlert, NoSuchAlert, TooManyAlerts
from watchlist.prices.quotes import Quotes, read_quotes

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
UP = AlertOptions(Kind.UP, 200.0)


@pytest.fixture
def alerts(person: User, tickers: list[Ticker], store: object) -> AccountAlerts:
    """The alerts of an account. Redis is empty."""
    return AccountAlerts(person)


@pytest.fixture
def put_price(put_price: Callable[..., None]) -> Callable[[float, int], None]:
    """Returns a function that sets the quote of AAPL at a seq_id."""
    return lambda price, seq_id: put_price("AAPL", price, seq_id=seq_id)


def fire(alert: Alert, arming: int = 1) -> Firing:
    return Firing.objects.create(
        alert=alert, arming=arming, side=-1, price=200.0, timestamp=1, seq_id=1, evaluated_at=NOW, recorded_at=NOW
    )


def test_an_alert_is_armed_at_the_quote(alerts: AccountAlerts, put_price: Callable[[float, int], None]):
    put_price(199.0, 7)
    created = alerts.create(" aapl ", UP, NOW)
    alert = Alert.objects.get()
    assert created.alert == alert
    assert not created.is_true
    assert (alert.side, alert.arming, alert.since_seq_id) == (Side.BELOW, 1, 7)
    assert (alert.level, alert.percent, alert.state, alert.version) == (200.0, None, "active", 1)


def test_an_alert_whose_condition_is_true_is_not_armed(alerts: AccountAlerts, put_price: Callable[[float, int], None]):
    put_price(200.0, 7)
    created = alerts.create("AAPL", UP, NOW)
    assert created.is_true
    assert (created.alert.side, created.alert.arming) == (Side.NONE, 0)


def test_an_alert_on_a_symbol_without_a_quote_is_armed_by_the_first_update(alerts: AccountAlerts):
    created = alerts.create("AAPL", UP, NOW)
    assert not created.is_true
    assert (created.alert.side, created.alert.since_timestamp) == (Side.NONE, NOW.timestamp() * 1e6)


def test_all_options_are_stored(alerts: AccountAlerts, put_price: Callable[[float, int], None]):
    put_price(100.0, 7)
    channels = frozenset({Channel.EMAIL, Channel.WEBHOOK})
    options = AlertOptions(Kind.DAY_PERCENT, -5.0, Repeat.EACH, 60, LATER, " sell  it ", channels)
    alert = alerts.create("AAPL", options, NOW).alert
    alert.refresh_from_db()
    assert (alert.kind, alert.percent, alert.level, alert.side) == ("day_percent", -5.0, None, Side.ABOVE)
    assert (alert.repeat, alert.cooldown_seconds, alert.expires_at, alert.note) == ("each", 60, LATER, "sell it")
    assert alert.channels == [Channel.EMAIL, Channel.WEBHOOK]


@pytest.mark.parametrize("symbol", ["", "NONE", "A" * 10_000, "A\x00", "T0"])
def test_an_alert_on_a_symbol_that_the_site_does_not_offer_is_refused(alerts: AccountAlerts, symbol: str):
    Ticker.objects.filter(symbol="T0").update(active=False)
    with pytest.raises(BadAlert):
        alerts.create(symbol, UP, NOW)


def test_an_account_can_have_200_alerts_and_deleted_ones_do_not_count(
    alerts: AccountAlerts, person: User, tickers: list[Ticker]
):
    Alert.objects.bulk_create(Alert(owner=person, ticker=tickers[0], kind="up", level=1.0) for _ in range(199))
    last = alerts.create("AAPL", UP, NOW).alert
    with pytest.raises(TooManyAlerts, match="200 alerts"):
        alerts.create("AAPL", UP, NOW)
    alerts.delete(last.pk, NOW)
    alerts.create("AAPL", UP, NOW)
    with pytest.raises(TooManyAlerts):
        alerts.restore(last.pk, NOW)


def test_the_operator_can_change_how_many_alerts_an_account_can_have(alerts: AccountAlerts, settings: Any):
    settings.ALERTS_PER_ACCOUNT = 2
    alerts.create("AAPL", UP, NOW)
    alerts.create("AAPL", UP, NOW)
    with pytest.raises(TooManyAlerts, match="2 alerts"):
        alerts.create("AAPL", UP, NOW)


def test_a_paused_alert_is_armed_anew_when_it_is_resumed(
    alerts: AccountAlerts, put_price: Callable[[float, int], None]
):
    put_price(199.0, 7)
    alert = alerts.create("AAPL", UP, NOW).alert
    alerts.pause(alert.pk, LATER)
    alert.refresh_from_db()
    assert (alert.state, alert.version, alert.changed_at) == ("paused", 2, LATER)
    put_price(198.0, 9)
    assert alerts.resume(alert.pk, LATER) is False
    alert.refresh_from_db()
    assert (alert.state, alert.version, alert.arming, alert.since_seq_id) == ("active", 3, 2, 9)
    with pytest.raises(BadAlert, match="active already"):
        alerts.resume(alert.pk, LATER)


def test_only_an_active_alert_can_be_paused(alerts: AccountAlerts):
    alert = alerts.create("AAPL", UP, NOW).alert
    alerts.pause(alert.pk, NOW)
    with pytest.raises(BadAlert, match="This one is paused"):
        alerts.pause(alert.pk, NOW)


def test_an_alert_that_has_fired_can_be_resumed_until_it_expires(
    alerts: AccountAlerts, put_price: Callable[[float, int], None]
):
    put_price(201.0, 7)
    alert = alerts.create("AAPL", AlertOptions(Kind.UP, 200.0, expires_at=LATER), NOW).alert
    Alert.objects.update(state=State.FIRED.value)
    assert alerts.resume(alert.pk, NOW) is True
    Alert.objects.update(state=State.FIRED.value)
    with pytest.raises(BadAlert, match="expired"):
        alerts.resume(alert.pk, LATER)


def test_a_deleted_alert_is_hidden_keeps_its_firings_and_can_be_restored(alerts: AccountAlerts):
    alert = alerts.create("AAPL", UP, NOW).alert
    firing = fire(alert)
    alerts.delete(alert.pk, NOW)
    assert alerts.list(NOW) == []
    assert alerts.firings(10) == [firing]
    with pytest.raises(NoSuchAlert):
        alerts.delete(alert.pk, NOW)
    alerts.restore(alert.pk, NOW)
    assert [each.alert for each in alerts.list(NOW)] == [alert]
    with pytest.raises(NoSuchAlert):
        alerts.restore(alert.pk, NOW)


def test_an_alert_that_expired_after_its_deletion_is_restored_as_expired(alerts: AccountAlerts):
    alert = alerts.create("AAPL", AlertOptions(Kind.UP, 200.0, expires_at=LATER), NOW).alert
    alerts.delete(alert.pk, NOW)
    alerts.restore(alert.pk, LATER)
    assert Alert.objects.get().state == "expired"


def test_a_note_can_be_changed(alerts: AccountAlerts):
    alert = alerts.create("AAPL", UP, NOW).alert
    alerts.change_note(alert.pk, "  new ", NOW)
    assert Alert.objects.get().note == "new"


def test_the_list_shows_the_distance_to_each_level(alerts: AccountAlerts, put_price: Callable[[float, int], None]):
    put_price(100.0, 7)
    up = alerts.create("AAPL", AlertOptions(Kind.UP, 110.0, expires_at=LATER), NOW).alert
    percent = alerts.create("AAPL", AlertOptions(Kind.DAY_PERCENT, -5.0), NOW).alert
    unknown = alerts.create("MSFT", UP, NOW).alert
    fire(up)
    second = fire(up, arming=2)
    listed = alerts.list(LATER)
    assert [each.alert for each in listed] == [unknown, percent, up]
    assert [(each.price, each.level) for each in listed] == [(None, 200.0), (100.0, 95.0), (100.0, 110.0)]
    assert listed[0].distance_percent is None
    assert [each.distance_percent for each in listed[1:]] == pytest.approx([-5.0, 10.0])
    assert [each.last_firing for each in listed] == [None, None, second]
    assert [each.is_expired for each in listed] == [False, False, True]


def test_the_last_firing_of_an_alert_is_the_one_of_its_last_arming(alerts: AccountAlerts):
    first, other = (alerts.create(symbol, UP, NOW).alert for symbol in ("AAPL", "MSFT"))
    last, _, only = fire(first, arming=2), fire(first, arming=1), fire(other, arming=1)
    assert [each.last_firing for each in alerts.list(NOW)] == [only, last]


def test_the_list_shows_highs_and_lows_of_the_day_and_of_the_year(alerts: AccountAlerts):
    tape = Tape.objects.create(symbol="AAPL")
    for days, low, high in ((0, 95.0, 110.0), (9, 90.0, 105.0)):
        values = {"open": 100, "close": 100, "count": 1, "first_seq": 1, "last_seq": 1, "first_at": 0, "last_at": 0}
        DayBar.objects.create(tape=tape, day=(NOW - timedelta(days)).date(), low=low, high=high, **values)
    kinds = (Kind.DAY_HIGH, Kind.DAY_LOW, Kind.YEAR_HIGH, Kind.YEAR_LOW)
    for kind in kinds:
        alerts.create("AAPL", AlertOptions(kind), NOW)
    alerts.create("MSFT", AlertOptions(Kind.DAY_HIGH), NOW)
    levels = {(each.alert.ticker.symbol, each.alert.kind): each.level for each in alerts.list(NOW)}
    assert [levels["AAPL", kind] for kind in kinds] == [110.0, 95.0, 110.0, 90.0]
    assert levels["MSFT", Kind.DAY_HIGH] is None


def test_an_alert_on_new_highs_is_armed_even_without_a_quote_and_armed_anew_when_it_is_resumed(alerts: AccountAlerts):
    created = alerts.create("AAPL", AlertOptions(Kind.DAY_HIGH), NOW)
    assert (created.is_true, created.alert.side, created.alert.arming) == (False, Side.BELOW, 1)
    alerts.pause(created.alert.pk, NOW)
    assert alerts.resume(created.alert.pk, NOW) is False
    assert Alert.objects.get().arming == 2


def test_a_change_within_a_window_is_armed_by_the_next_update(
    alerts: AccountAlerts, put_price: Callable[[float, int], None]
):
    put_price(100.0, 7)
    created = alerts.create("AAPL", AlertOptions(Kind.WINDOW_PERCENT, 5.0, window_seconds=300), NOW)
    assert (created.is_true, created.alert.side, created.alert.since_seq_id) == (False, Side.NONE, 7)
    assert (created.alert.percent, created.alert.level, created.alert.window_seconds) == (5.0, None, 300)
    assert [each.level for each in alerts.list(NOW)] == [None]


def test_the_list_says_which_active_alerts_are_blind(alerts: AccountAlerts, store: redis.Redis):
    active, paused = (alerts.create("AAPL", UP, NOW).alert for _ in range(2))
    alerts.pause(paused.pk, NOW)
    assert {each.alert.pk: each.blind for each in alerts.list(NOW)} == {
        active.pk: "The alert engine is not running.",
        paused.pk: "",
    }
    EngineStates(store).write("a", EngineState(NOW.timestamp(), 0.0))
    assert [each.blind for each in alerts.list(NOW)] == ["", ""]


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_for_a_price(
    alerts: AccountAlerts, put_price: Callable[[float, int], None], monkeypatch: pytest.MonkeyPatch
):
    put_price(199.0, 7)
    in_transaction = []

    def read(symbols: Sequence[str]) -> Quotes:
        in_transaction.append(connection.in_atomic_block)
        return read_quotes(symbols)

    monkeypatch.setattr(account_alerts, "read_quotes", read)
    alert = alerts.create("AAPL", UP, NOW).alert
    alerts.pause(alert.pk, NOW)
    alerts.resume(alert.pk, NOW)
    alerts.delete(alert.pk, NOW)
    alerts.restore(alert.pk, NOW)
    assert in_transaction == [False] * 3


def test_firings_are_listed_in_parts(alerts: AccountAlerts):
    alert = alerts.create("AAPL", UP, NOW).alert
    first, second, third = (fire(alert, arming) for arming in (1, 2, 3))
    assert alerts.firings(2) == [third, second]
    assert alerts.firings(2, before=second.pk) == [first]
    assert third.key == f"{alert.pk}-3"


@pytest.mark.parametrize("action", ["pause", "resume", "delete", "restore"])
def test_an_alert_of_another_account_does_not_exist(alerts: AccountAlerts, action: str):
    alert = alerts.create("AAPL", UP, NOW).alert
    stranger = AccountAlerts(User.objects.create_user("bob"))
    with pytest.raises(NoSuchAlert):
        getattr(stranger, action)(alert.pk, NOW)
    with pytest.raises(NoSuchAlert):
        stranger.change_note(alert.pk, "x", NOW)
    assert stranger.list(NOW) == []
    assert stranger.firings(10) == []
    assert Alert.objects.get().version == 1


def test_a_ticker_with_an_alert_cannot_be_deleted_and_an_account_takes_its_alerts_along(
    alerts: AccountAlerts, person: User
):
    fire(alerts.create("AAPL", UP, NOW).alert)
    with pytest.raises(ProtectedError):
        Ticker.objects.get(symbol="AAPL").delete()
    person.delete()
    assert not Alert.objects.exists()
    assert not Firing.objects.exists()
