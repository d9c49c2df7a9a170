from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from django.contrib.auth.models import User
from django.db import DataError, OperationalError, connection

from feeds.models import DayBar, Tape, Ticker
from watchlist.alert_kinds import Kind, Repeat, Side, State
from watchlist.alert_models import Alert, Delivery, Firing
from watchlist.alerts.engine_storage import (
    AlertsUnavailable,
    Results,
    read_active,
    read_alerts,
    read_progress,
    read_reference,
    read_versions,
    split_results,
    write_results,
)
from watchlist.alerts.records import AlertChange, AlertRecord, FiringEvent, Progress

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = date(2026, 11, 22).toordinal()


@pytest.fixture
def alert(person: User, tickers: list[Ticker]) -> Alert:
    return Alert.objects.create(
        owner=person,
        ticker=tickers[0],
        kind="up",
        level=100.0,
        side=-1,
        arming=1,
        since_timestamp=5,
        since_seq_id=6,
        by_email=True,
        changed_at=NOW,
    )


def change(alert: Alert, version: int = 1, state: State = State.FIRED) -> AlertChange:
    return AlertChange(alert.pk, version, state, Side.NONE, 1, (7, 8), 9)


FIRING = FiringEvent(
    alert_id=0,
    arming=1,
    side=Side.BELOW,
    level=100.0,
    reference=None,
    price=101.0,
    timestamp=7,
    seq_id=8,
    source="kraken",
    late=True,
    received_ms=1_766_480_000_000,
)


def firing(alert: Alert, arming: int = 1) -> FiringEvent:
    return msgspec.structs.replace(FIRING, alert_id=alert.pk, arming=arming)


def refuse_none(alert_id: int, version: int) -> None:
    raise AssertionError(f"alert {alert_id} with version {version} was skipped")


def results(*changes: AlertChange, firings: tuple[FiringEvent, ...] = (), progress: tuple = ()) -> Results:
    return Results(changes, firings, progress, NOW)


def test_active_alerts_are_read_with_all_fields(alert: Alert, person: User, tickers: list[Ticker]):
    expires = datetime(2026, 11, 23, tzinfo=UTC)
    percent = Alert.objects.create(
        owner=person, ticker=tickers[4], kind="day_percent", percent=-5.0, repeat="each", cooldown_seconds=60,
        expires_at=expires, side=1, silent_until=3,
    )  # fmt: skip
    for state in (State.PAUSED, State.FIRED, State.EXPIRED, State.FAILED, State.DELETED):
        Alert.objects.create(owner=person, ticker=tickers[0], kind="up", level=1.0, state=state.value)
    Alert.objects.create(owner=person, ticker=tickers[0], kind="unknown", window_seconds=60)
    expected = [
        AlertRecord(alert.pk, 1, "AAPL", Kind.UP, 100.0, side=Side.BELOW, arming=1, since=(5, 6)),
        AlertRecord(
            percent.pk, 1, "BTC/USD", Kind.DAY_PERCENT, -5.0, Repeat.EACH, 60, int(expires.timestamp()) * 1_000_000,
            Side.ABOVE, silent_until=3,
        ),
    ]  # fmt: skip
    assert [record for part in read_active(refuse_none) for record in part] == expected
    assert read_alerts([alert.pk, percent.pk, 10**9], refuse_none) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"level": None},
        {"level": None, "percent": 5.0},
        {"level": float("inf")},
        {"kind": "day_percent"},
        {"cooldown_seconds": 2**31},
        {"repeat": "never"},
        {"side": 5},
        {"arming": 2**31 - 1},
        {"kind": "window_percent", "percent": 5.0},
        {"kind": "window_percent", "percent": 5.0, "window_seconds": 90},
        {"kind": "window_percent", "percent": 5.0, "window_seconds": 86_460},
    ],
)
def test_a_row_that_the_engine_cannot_use_is_skipped(alert: Alert, tickers: list[Ticker], fields: dict[str, object]):
    values = {"kind": "up", "level": 1.0, "version": 3} | fields
    if connection.vendor == "postgresql" and "cooldown_seconds" in fields:  # too large for a column of PostgreSQL
        with pytest.raises(DataError):
            Alert.objects.create(owner=alert.owner, ticker=tickers[0], **values)
        return
    bad = Alert.objects.create(owner=alert.owner, ticker=tickers[0], **values)
    skipped = []
    read = [
        *read_active(lambda *row: skipped.append(row)),
        read_alerts([alert.pk, bad.pk], lambda *row: skipped.append(row)),
    ]
    assert [[record.id for record in records] for records in read] == [[alert.pk], [alert.pk]]
    assert skipped == [(bad.pk, 3)] * 2


def test_the_kind_decides_whether_an_alert_has_a_level_or_a_percent(alert: Alert):
    Alert.objects.update(kind="day_percent", percent=-5.0)
    [record] = read_alerts([alert.pk], refuse_none)
    assert (record.kind, record.value) == (Kind.DAY_PERCENT, -5.0)


def test_an_alert_on_missing_prices_has_only_a_time_span(alert: Alert):
    Alert.objects.update(kind="no_price", level=None, window_seconds=300)
    [record] = read_alerts([alert.pk], refuse_none)
    assert (record.kind, record.value, record.window_seconds) == (Kind.NO_PRICE, 0.0, 300)


@pytest.mark.parametrize("kind", ["day_high", "day_low", "year_high", "year_low"])
def test_an_alert_on_new_highs_or_lows_needs_no_value(alert: Alert, kind: str):
    Alert.objects.update(kind=kind, level=None)
    [record] = read_alerts([alert.pk], refuse_none)
    assert (record.kind, record.value) == (kind, 0.0)


def test_a_change_within_a_window_has_a_percent_and_a_length(alert: Alert):
    Alert.objects.update(kind="window_percent", percent=-5.0, window_seconds=300)
    [record] = read_alerts([alert.pk], refuse_none)
    assert (record.kind, record.value, record.window_seconds) == (Kind.WINDOW_PERCENT, -5.0, 300)


def test_a_firing_changes_its_alert_and_has_a_delivery_per_channel(alert: Alert):
    assert write_results(results(change(alert), firings=(firing(alert),)), NOW) == set()
    alert.refresh_from_db()
    assert (alert.state, alert.side, alert.since_timestamp, alert.since_seq_id) == ("fired", 0, 7, 8)
    assert (alert.silent_until, alert.version, alert.changed_at) == (9, 2, NOW)
    [row] = Firing.objects.all()
    assert (row.arming, row.side, row.level, row.price, row.source, row.late) == (1, -1, 100.0, 101.0, "kraken", True)
    assert row.received_at == datetime.fromtimestamp(1_766_480_000, UTC)
    found = Delivery.objects.order_by("channel").values_list("firing", "channel", "state")
    assert list(found) == [(row.pk, "email", "waiting"), (row.pk, "page", "done")]


@pytest.mark.parametrize(("created_at", "begin"), [(0, 5_000_000), (6, 6_000_000)])
def test_the_blindness_of_a_firing_is_asked_from_the_arming_or_the_creation_on(
    alert: Alert, created_at: int, begin: int
):
    Alert.objects.update(created_at=datetime.fromtimestamp(created_at, UTC))
    event = msgspec.structs.replace(firing(alert), armed_at=5_000_000)
    asked = []

    def find_blindness(*question: object) -> int:
        asked.append(question)
        return 77

    write_results(results(change(alert), firings=(event,)), NOW, find_blindness)
    assert asked == [(event, begin, int(NOW.timestamp()) * 1_000_000)]
    assert Firing.objects.get().blind_us == 77


def test_an_alert_that_a_person_changed_or_deleted_meanwhile_does_not_fire(alert: Alert):
    Alert.objects.update(version=2, state="paused")
    stale, gone = change(alert), AlertChange(10**9, 1, State.ACTIVE, Side.NONE, 1, (7, 8), 9)
    assert write_results(results(stale, gone, firings=(firing(alert),)), NOW) == {alert.pk, 10**9}
    alert.refresh_from_db()
    assert (alert.version, alert.state) == (2, "paused")
    assert not Firing.objects.exists()


def test_a_firing_that_exists_already_is_not_written_again(alert: Alert):
    write_results(results(change(alert, state=State.ACTIVE), firings=(firing(alert),)), NOW)
    again = results(change(alert, version=2), firings=(firing(alert), firing(alert, arming=2)))
    assert write_results(again, NOW) == set()
    assert sorted(Firing.objects.values_list("arming", flat=True)) == [1, 2]
    assert Delivery.objects.count() == 4


def test_results_are_split_into_parts_with_all_firings_of_their_alerts():
    changes = [AlertChange(number, 1, State.ACTIVE, Side.NONE, 1, (7, 8), 9) for number in range(1, 2_002)]
    firings = [msgspec.structs.replace(FIRING, alert_id=number) for number in (2_001, 5, 5, 1_001)]
    progress = [Progress("AAPL", 1.0, 2, 3, "kraken", 4, None)]
    parts = list(split_results(Results(changes, firings, progress, NOW)))
    assert [len(part.changes) for part in parts] == [1_000, 1_000, 1, 0]
    assert [[each.alert_id for each in part.firings] for part in parts] == [[5, 5], [1_001], [2_001], []]
    assert [len(part.progress) for part in parts] == [0, 0, 0, 1]
    assert list(split_results(Results([], [], [], NOW))) == []


def test_progress_is_written_and_overwritten(db: None):
    first = Progress("AAPL", 1.0, 2, 3, "kraken", 4, None)
    write_results(results(progress=(first, Progress("MSFT", 1.0, 2, 3, "simulated", 4, 5.0))), NOW)
    second = Progress("AAPL", 2.0, 3, 4, "kraken", 4, 6.0)
    write_results(results(progress=(second,)), NOW)
    assert {each.symbol: each for each in read_progress()}["AAPL"] == second
    assert len(read_progress()) == 2


def test_changes_are_found_by_their_time(alert: Alert):
    assert read_versions(NOW) == [(alert.pk, 1, "active", NOW)]
    assert read_versions(NOW + timedelta(seconds=9)) == [(alert.pk, 1, "active", NOW)]
    assert read_versions(NOW + timedelta(seconds=11)) == []


def test_a_reference_price_is_the_last_close_of_the_source_or_the_base_price(tickers: list[Ticker]):
    for source, close in (("simulated", 90.0), ("kraken", 80.0)):
        tape = Tape.objects.create(symbol="AAPL", source=source)
        for age, value in ((3, 1.0), (2, close), (0, 2.0)):
            day = date.fromordinal(DAY - age)
            numbers = dict.fromkeys(["open", "high", "low", "count", "first_seq", "last_seq", "first_at", "last_at"], 1)
            DayBar.objects.create(tape=tape, day=day, close=value, **numbers)
    wanted = [("AAPL", "simulated"), ("AAPL", "kraken"), ("MSFT", "simulated"), ("X", "kraken")]
    assert [read_reference(symbol, source, DAY) for symbol, source in wanted] == [90.0, 80.0, 100.0, None]


@pytest.mark.django_db(transaction=True)
def test_a_locked_database_is_unavailable(alert: Alert):
    def refuse(*_: object) -> None:
        raise OperationalError("database is locked")

    calls = [
        lambda: list(read_active(refuse_none)),
        lambda: read_alerts([1], refuse_none),
        lambda: read_versions(NOW),
        lambda: read_progress(),
        lambda: read_reference("AAPL", "simulated", DAY),
        lambda: write_results(results(change(alert)), NOW),
    ]
    for call in calls:
        with connection.execute_wrapper(refuse), pytest.raises(AlertsUnavailable, match="database is locked"):
            call()
    assert write_results(results(change(alert)), NOW) == set()
