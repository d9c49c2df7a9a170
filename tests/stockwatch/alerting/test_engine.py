from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from structlog.testing import capture_logs

from feeds.models import DayBar, Tape, Ticker
from feeds.store.connection import Profile, connect
from feeds.store.feed_state import FeedState
from feeds.wire import Update
from stockwatch.alerting import engine
from stockwatch.alerting.background_publisher import BackgroundPublisher
from stockwatch.alerting.state_publisher import StatePublisher
from tests.support.alerting.engine import EngineFactory
from tests.support.alerting.evaluation import NOON, update_at
from tests.support.full_disk import full_disk
from tests.support.kafka.fixtures import Produce, committed
from tests.support.servers.silent_server import silent_server
from watchlist.alert_models import Alert, Delivery, Firing

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_US = 3_600_000_000


@pytest.fixture
def factory(kafka: str, topic: str) -> EngineFactory:
    return EngineFactory(kafka, topic, NOON + HOUR_US)


@pytest.fixture
def make_alert(person: User, tickers: list[Ticker]) -> Callable[..., Alert]:
    """Returns a function that creates an alert on AAPL. It is armed below 100 at NOON."""

    def make_alert(symbol: str = "AAPL", **fields: object) -> Alert:
        ticker = next(each for each in tickers if each.symbol == symbol)
        defaults = {"kind": "up", "level": 100.0, "side": -1, "arming": 1, "since_timestamp": NOON, "since_seq_id": 0}
        return Alert.objects.create(owner=person, ticker=ticker, **(defaults | fields))

    return make_alert


def fired() -> list[tuple[int, int, float]]:
    return list(Firing.objects.order_by("id").values_list("alert", "arming", "price"))


def walk(*prices: float, first: float = 1.0) -> list[Update]:
    return [update_at(price, first + second) for second, price in enumerate(prices)]


def test_an_alert_fires_once_however_often_the_topic_is_read(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    once, each = make_alert(), make_alert(repeat="each")
    produce(*walk(99, 100, 101, 99, 102), (b"AAPL", b"not JSON"), update_at(100, 0.5))
    assert factory.run_until_read(7) is True
    expected = [(once.pk, 1, 100.0), (each.pk, 1, 100.0), (each.pk, 2, 102.0)]
    assert sorted(fired()) == expected
    once.refresh_from_db()
    assert once.state == "fired"
    assert Delivery.objects.count() == 3
    for group in (factory.group, "another-" + factory.group):
        factory.group = group
        assert factory.run_until_read(7) is True
        assert sorted(fired()) == expected


def test_offsets_are_stored_ten_seconds_late_so_that_the_next_engine_reads_again(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    make_alert()
    produce(*walk(99, 99))
    factory.run_until_read(2)
    assert committed(factory.kafka, factory.topic, factory.group) == 0


def test_firings_keep_their_evidence(factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]):
    make_alert()
    produce(*walk(99, 101), source="kraken")
    factory.run_until_read(2)
    firing = Firing.objects.get()
    assert (firing.price, firing.level, firing.side, firing.source, firing.late) == (101.0, 100.0, -1, "kraken", False)
    assert (firing.timestamp, firing.seq_id) == update_at(101, 2).order
    assert firing.evaluated_at == datetime.fromtimestamp((NOON + HOUR_US) / 1e6, UTC)
    assert firing.received_at is not None


def test_a_firing_says_for_how_long_its_source_was_silent_since_the_arming(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "SYNC_SECONDS", 0.0)
    start, looks = factory.now_us, []
    created_at = datetime.fromtimestamp(NOON / 1e6, UTC)
    old, new = make_alert(created_at=created_at), make_alert(created_at=created_at, side=0, arming=0)
    factory.publish = lambda *state: looks.append(state)

    def look(second: float, state: str) -> Iterator[None]:
        """Lets the engine look at the source at this second."""
        factory.now_us, factory.sources = start + int(second * 1e6), {"kraken": FeedState(state, "", 0, 0)}
        looks.clear()
        while len(looks) < 2:
            yield

    def play() -> Iterator[None]:
        while not factory.source.assigned:
            yield
        yield from look(0, "connected")
        produce(update_at(99, 3601), source="kraken")
        while factory.source.records_read < 1:
            yield
        for second, state in ((2, "silent"), (5, "silent"), (9, "connected")):
            yield from look(second, state)
        produce(update_at(101, 3609), source="kraken")
        while not Firing.objects.exists():
            yield

    scenario = play()
    factory.run_until(lambda: next(scenario, "over") == "over")
    assert dict(Firing.objects.values_list("alert", "blind_us")) == {old.pk: None, new.pk: 7_000_000}


def test_changes_of_alerts_are_followed_while_the_engine_runs(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    paused = make_alert(level=200.0)
    produce(*walk(99, 99))
    state = "start"

    def drive() -> bool:
        """Goes on to the next step when the engine has done the step before."""
        nonlocal state
        if state == "start" and factory.source.records_read == 2:
            produce(*walk(150, 99, first=3))
            make_alert(level=120.0)  # armed before the two updates
            Alert.objects.filter(pk=paused.pk).update(state="paused", version=2, changed_at=datetime.now(UTC))
            state = "created"
        elif state == "created" and Firing.objects.exists():
            produce(*walk(250, first=5))
            state = "paused"
        return state == "paused" and factory.source.records_read == 5

    factory.now_us = int(datetime.now(UTC).timestamp() * 1e6)
    factory.run_until(drive)
    assert [price for *_, price in fired()] == [150.0]
    paused.refresh_from_db()
    assert (paused.state, paused.version) == ("paused", 2)


def test_a_restarted_engine_evaluates_an_alert_that_was_created_meanwhile(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    produce(*walk(99, 100, 99))
    factory.run_until_read(3)
    alert = make_alert()
    factory.run_until(Firing.objects.exists)
    assert fired() == [(alert.pk, 1, 100.0)]


def test_states_without_a_firing_survive_a_restart(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    alert = make_alert(side=0, arming=0)
    produce(*walk(101, 99))
    factory.run_until_read(2)
    alert.refresh_from_db()
    assert (alert.side, alert.arming, alert.version) == (-1, 1, 2)
    produce(*walk(101, first=3))
    factory.run_until(Firing.objects.exists)
    assert fired() == [(alert.pk, 1, 101.0)]


def test_an_alert_that_has_expired_is_marked(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    alert = make_alert(expires_at=datetime.fromtimestamp(NOON / 1e6, UTC))
    produce(*walk(99))
    factory.run_until(lambda: Alert.objects.filter(state="expired").exists())
    alert.refresh_from_db()
    assert alert.version == 2


def test_an_alert_fires_when_no_update_has_come_for_its_time(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    alert = make_alert(kind="no_price", level=None, window_seconds=60)
    produce(*walk(99, 98))

    def wait() -> bool:
        factory.now_us += 5_000_000
        return Firing.objects.exists()

    factory.run_until(wait)
    assert fired() == [(alert.pk, 1, 98.0)]
    alert.refresh_from_db()
    assert alert.state == "fired"


def test_a_restarted_engine_fires_for_the_whole_silence_of_a_simulated_symbol(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "SETTLE_SECONDS", 0.0)
    alert = make_alert(kind="no_price", level=None, window_seconds=3600)
    produce(*walk(99, 98))
    factory.run_until_read(2)
    assert not Firing.objects.exists()
    factory.now_us += 3_600_000_000
    factory.run_until(Firing.objects.exists)
    assert fired() == [(alert.pk, 1, 98.0)]


def test_changes_within_a_window_and_new_highs_fire(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    change = make_alert(kind="window_percent", level=None, percent=5.0, window_seconds=60)
    high = make_alert(kind="day_high", level=None)
    produce(update_at(100, 0.5), update_at(104, 2), update_at(105.5, 62))
    factory.run_until_read(3)
    assert fired() == [(high.pk, 1, 104.0), (change.pk, 1, 105.5)]


def test_an_engine_that_was_down_while_an_alert_expired_evaluates_the_updates_before_the_expiry(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    alert = make_alert(expires_at=datetime.fromtimestamp(NOON / 1e6 + 5, UTC))
    quiet = make_alert("BTC/USD", expires_at=datetime.fromtimestamp(NOON / 1e6 + 5, UTC))
    produce(*walk(99, 100), update_at(99, 60))
    factory.run_until(lambda: Alert.objects.filter(pk=quiet.pk, state="expired").exists())
    assert fired() == [(alert.pk, 1, 100.0)]


def test_a_percent_is_relative_to_the_last_close_in_the_database(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    tape = Tape.objects.create(symbol="AAPL")
    numbers = dict.fromkeys(["open", "high", "low", "count", "first_seq", "last_seq", "first_at", "last_at"], 1)
    DayBar.objects.create(tape=tape, day=date(2026, 11, 21), close=50.0, **numbers)
    alert = make_alert(kind="day_percent", level=None, percent=10.0)
    produce(*walk(52, 54.9, 55.0))
    factory.run_until_read(3)
    firing = Firing.objects.get()
    assert (firing.alert_id, firing.price, firing.reference) == (alert.pk, 55.0, 50.0)
    assert firing.level == 55.0


def test_firings_wait_for_a_database_that_does_not_answer(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert], monkeypatch: pytest.MonkeyPatch
):
    # Only firings are written then. A refused query before the first firing would pause the reading of updates.
    monkeypatch.setattr(engine, "SYNC_SECONDS", 3600.0)
    alert = make_alert(repeat="each")
    refused, produced = 0, False

    def refuse(*_: object) -> None:
        nonlocal refused
        refused += 1
        raise OperationalError("database is locked")

    with ExitStack() as outage:

        def drive() -> bool:
            nonlocal produced
            if refused > 2:
                outage.close()
                return len(fired()) == 2
            if factory.source.assigned and not produced:
                produced = True
                outage.enter_context(connection.execute_wrapper(refuse))
                produce(*walk(99, 100, 99, 101))
            return False

        factory.run_until(drive)
    assert fired() == [(alert.pk, 1, 100.0), (alert.pk, 2, 101.0)]


def test_an_outage_of_the_database_lasts_until_a_query_succeeds(factory: EngineFactory):
    refused, begun = 0, False

    def refuse(*_: object) -> None:
        nonlocal refused
        refused += 1
        raise OperationalError("database is locked")

    with ExitStack() as outage, capture_logs() as lines:

        def drive() -> bool:
            nonlocal begun
            if refused > 4:
                outage.close()
                return any(line["event"] == "database available again" for line in lines)
            if factory.source.assigned and not begun:
                begun = True
                outage.enter_context(connection.execute_wrapper(refuse))
            return False

        factory.run_until(drive)
    assert [line["event"] for line in lines].count("database unavailable") == 1


def test_on_a_full_disk_firings_wait_until_there_is_space(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    alerts = [make_alert() for _ in range(200)]  # their firings do not fit into the pages that exist
    with ExitStack() as disk, capture_logs() as lines:
        disk.enter_context(full_disk("watchlist_firing"))
        produce(*walk(99, 101))

        def drive() -> bool:
            if any("free space on the disk" in line.get("reason", "") for line in lines):
                disk.close()
            return len(fired()) == len(alerts)

        assert factory.run_until(drive) is True
    assert sorted(fired()) == [(alert.pk, 1, 101.0) for alert in alerts]
    assert [line["event"] for line in lines].count("database unavailable") == 1


def test_rows_that_cannot_be_used_stop_no_other_alert(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    make_alert(level=None)
    loaded = make_alert()
    produce(*walk(99, 101))
    created = None

    def drive() -> bool:
        nonlocal created
        if created is None and Firing.objects.exists():
            make_alert(repeat="each", cooldown_seconds=2**31 - 1, side=7)
            created = make_alert(level=200.0)
            produce(*walk(201, first=3))
        return len(fired()) == 2

    factory.now_us = int(datetime.now(UTC).timestamp() * 1e6)
    factory.run_until(drive)
    assert fired() == [(loaded.pk, 1, 101.0), (created.pk, 1, 201.0)]


def test_a_redis_that_never_answers_delays_no_firing(
    factory: EngineFactory, produce: Produce, make_alert: Callable[..., Alert]
):
    patient = Profile(socket_timeout=300.0, connect_timeout=300.0, retries=0)
    alert = make_alert(repeat="each")
    produce(*walk(99, 101))
    with silent_server() as port:
        publisher = BackgroundPublisher(StatePublisher(connect({"host": "127.0.0.1", "port": port}, patient)))
        published = []
        factory.publish = lambda *state: (published.append(state), publisher.publish(*state))
        factory.run_until(lambda: len(published) > 2 and Firing.objects.exists())
        publisher.close()
    assert fired() == [(alert.pk, 1, 101.0)]
