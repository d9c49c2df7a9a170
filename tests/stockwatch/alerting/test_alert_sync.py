from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from structlog.testing import capture_logs

from feeds.models import Ticker
from feeds.source_names import SIMULATED
from stockwatch.alerting.alert_sync import AlertSync
from tests.support.alerting.evaluation import NOON, update_at
from tests.support.recording.bars import UTC_EVERYWHERE
from watchlist.alert_models import Alert, AlertProgress, Firing
from watchlist.alerts.account_alerts import AccountAlerts
from watchlist.alerts.engine_storage import read_reference
from watchlist.alerts.evaluator import Evaluator

NOW = datetime.fromtimestamp(NOON / 1e6, UTC)


@pytest.fixture
def evaluator() -> Evaluator:
    return Evaluator(UTC_EVERYWHERE, read_reference)


@pytest.fixture
def sync(evaluator: Evaluator) -> AlertSync:
    return AlertSync(evaluator, lambda: NOON / 1e6)


def make_alert(person: User, ticker: Ticker, **fields: object) -> Alert:
    defaults = {"kind": "up", "level": 100.0, "repeat": "each", "side": -1, "arming": 1, "changed_at": NOW}
    return Alert.objects.create(owner=person, ticker=ticker, **(defaults | fields))


@pytest.mark.parametrize("action", ["delete", "pause"])
def test_a_person_s_change_is_kept_however_often_the_alert_crosses_its_level(
    person: User, tickers: list[Ticker], sync: AlertSync, evaluator: Evaluator, action: str
):
    alert = make_alert(person, tickers[0])
    sync.load()
    evaluator.apply(update_at(99, 1), SIMULATED)
    getattr(AccountAlerts(person), action)(alert.pk, NOW)
    for second, price in enumerate([101, 99, 101], 2):
        evaluator.apply(update_at(price, second), SIMULATED)
        sync.write(with_progress=False)
    alert.refresh_from_db()
    assert (alert.state, alert.version) == ({"delete": "deleted", "pause": "paused"}[action], 2)
    assert not Firing.objects.exists()


def test_an_alert_with_a_new_note_is_read_again_and_fires_by_the_updates_that_it_missed(
    person: User, tickers: list[Ticker], sync: AlertSync, evaluator: Evaluator
):
    alert = make_alert(person, tickers[0])
    sync.load()
    AccountAlerts(person).change_note(alert.pk, "new", NOW)
    for second, price in enumerate([101, 99, 102], 1):
        evaluator.apply(update_at(price, second), SIMULATED)
        sync.write(with_progress=False)
    sync.follow()
    sync.write(with_progress=False)
    assert list(Firing.objects.order_by("arming").values_list("arming", "price")) == [(1, 101.0), (2, 102.0)]


def test_an_alert_that_cannot_be_used_is_logged_once_per_version(
    person: User, tickers: list[Ticker], sync: AlertSync, evaluator: Evaluator
):
    loaded = make_alert(person, tickers[0], level=None)
    with capture_logs() as lines:
        sync.load()
        sync.load()  # the engine repeats it if the database stops answering
        created = make_alert(person, tickers[0], level=None)
        for _ in range(3):
            sync.follow()
        Alert.objects.filter(pk=loaded.pk).update(version=2)
        sync.follow()
        Alert.objects.filter(pk=created.pk).update(version=2, level=5.0)
        sync.follow()
    assert [(line["event"], line["alert"]) for line in lines] == [
        ("alert not usable", loaded.pk),
        ("alert not usable", created.pk),
        ("alert not usable", loaded.pk),
    ]
    assert (len(evaluator), evaluator.known_version(created.pk)) == (1, 2)


def test_a_restarted_evaluation_goes_back_to_the_updates_that_a_new_alert_may_have_missed(
    person: User, tickers: list[Ticker]
):
    seconds = 0.0

    def start() -> tuple[AlertSync, Evaluator]:
        evaluator = Evaluator(UTC_EVERYWHERE, read_reference)
        sync = AlertSync(evaluator, lambda: NOON / 1e6, lambda: seconds)
        sync.load()
        return sync, evaluator

    known = make_alert(person, tickers[0])
    sync, evaluator = start()
    for seconds, price in [(1.0, 99), (2.0, 98), (6.5, 101), (7.0, 99)]:
        evaluator.apply(update_at(price, seconds), SIMULATED)
        sync.write(with_progress=True)
    assert AlertProgress.objects.get().timestamp == update_at(98, 2).timestamp

    # Armed at the update of second 6.5, when its condition was true. The killed evaluation never knew it.
    since = {"since_timestamp": update_at(101, 6.5).timestamp, "since_seq_id": update_at(101, 6.5).seq_id}
    new = make_alert(person, tickers[0], side=0, arming=0, **since)
    sync, evaluator = start()
    for seconds, price in [(1.0, 99), (2.0, 98), (6.5, 101), (7.0, 99), (8.0, 102)]:
        evaluator.apply(update_at(price, seconds), SIMULATED)
    sync.write(with_progress=True)
    firings = Firing.objects.order_by("alert", "arming").values_list("alert", "arming", "price", "late")
    assert list(firings) == [(known.pk, 1, 101.0, False), (known.pk, 2, 102.0, False), (new.pk, 1, 102.0, False)]


def test_an_evaluation_does_not_write_older_progress_than_another_one(tickers: list[Ticker]):
    seconds = 0.0
    evaluations = [Evaluator(UTC_EVERYWHERE, read_reference) for _ in range(2)]
    syncs = [AlertSync(evaluator, lambda: NOON / 1e6, lambda: seconds) for evaluator in evaluations]
    for second, evaluator, sync in zip((1, 2), evaluations, syncs, strict=True):
        evaluator.apply(update_at(99, second), SIMULATED)
        sync.write(with_progress=True)
    seconds = 10.0
    for sync in reversed(syncs):
        sync.write(with_progress=True)
    assert AlertProgress.objects.get().timestamp == update_at(99, 2).timestamp
