import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from feeds.models import Ticker
from tests.support.servers.commands import Command
from tests.support.waiting import wait_until
from watchlist.alert_models import Alert, Firing
from watchlist.management.commands.purge import DAY_SECONDS, RETRY_SECONDS, purge, purge_daily


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daily_purge_handles_signals_itself_as_process_1_must(
    tmp_path: Path, ticker_database: Path, number: signal.Signals
):
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{ticker_database}"}
    stamp = tmp_path / "purged"
    command = Command("purge", environment, tmp_path / "log.txt", "--daily", "--stamp", str(stamp))
    wait_until(stamp.exists, what="the first purge")
    # Without a handler, the status would be minus the signal, and process 1 would continue.
    assert command.end(number) == 0
    assert "Traceback" not in command.text


class Ended(Exception):
    """Ends the loop under test."""


def rename_sessions(old: str, new: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")


@pytest.fixture
def absent_sessions(transactional_db: None) -> Iterator[None]:
    """Removes the table of sessions, so that each purge fails until the test renames it."""
    rename_sessions("django_session", "absent")
    yield
    if "absent" in connection.introspection.table_names():
        rename_sessions("absent", "django_session")


def test_sessions_are_purged_every_day_and_an_hour_after_a_failure(tmp_path: Path, absent_sessions: None):
    stamp = tmp_path / "purged"
    waits: list[tuple[float, bool]] = []

    def wait(seconds: float) -> None:
        waits.append((seconds, stamp.exists()))
        if len(waits) == 2:
            rename_sessions("absent", "django_session")
            Session.objects.create(session_key="old", expire_date=timezone.now() - timedelta(days=1))
        if len(waits) == 3:
            raise Ended

    with pytest.raises(Ended):
        purge_daily(stamp, wait)
    assert waits == [(DAY_SECONDS, False), (RETRY_SECONDS, False), (DAY_SECONDS, True)]
    assert not Session.objects.exists()


def test_firings_are_purged_after_the_retention(person: User, tickers: list[Ticker], settings):
    settings.ALERTS_RETENTION = timedelta(days=30)
    alert = Alert.objects.create(owner=person, ticker=tickers[0], kind="up", level=1.0)
    for days in (29, 31):
        recorded = timezone.now() - timedelta(days=days)
        order = {"arming": days, "side": -1, "timestamp": 1, "seq_id": 1}
        Firing.objects.create(alert=alert, price=1.0, evaluated_at=recorded, recorded_at=recorded, **order)
    purge()
    assert [firing.arming for firing in Firing.objects.all()] == [29]


def test_deleted_alerts_are_purged_after_a_day_unless_they_have_firings(person: User, tickers: list[Ticker]):
    now = timezone.now()
    fields = {"owner": person, "ticker": tickers[0], "kind": "up", "level": 1.0}
    days = timedelta(days=1, minutes=1)
    _gone, recent, fired, active = (
        Alert.objects.create(state=state, changed_at=changed, **fields)
        for state, changed in [
            ("deleted", now - days),
            ("deleted", now - timedelta(hours=23)),
            ("deleted", now - days),
            ("active", now - days),
        ]
    )
    order = {"arming": 1, "side": -1, "timestamp": 1, "seq_id": 1}
    Firing.objects.create(alert=fired, price=1.0, evaluated_at=now, recorded_at=now, **order)
    purge()
    assert set(Alert.objects.all()) == {recent, fired, active}
