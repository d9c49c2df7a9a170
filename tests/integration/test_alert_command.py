import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from feeds.kafka.embedded import EmbeddedCluster
from feeds.wire import Update
from tests.support.alerting.evaluation import alert, expected_firings
from tests.support.alerting.rows import read_firings, store_alerts
from tests.support.kafka.traffic import produce_updates
from tests.support.servers.commands import Command, migrate
from tests.support.waiting import wait_until
from watchlist.alert_kinds import Kind, Repeat, Side
from watchlist.alerts.records import AlertRecord

ROOT = Path(__file__).resolve().parents[2]
SYMBOLS = [f"S{number}" for number in range(8)]
LAST_LEVEL = 10_000.0
"""The level of one alert per symbol that only the last update of the symbol reaches."""


@pytest.fixture
def brokers() -> Iterator[str]:
    with EmbeddedCluster() as cluster:
        yield cluster.addresses


@pytest.fixture
def environment(brokers: str, tmp_path: Path) -> dict[str, str]:
    """The environment variables of an alert engine with a migrated database."""
    variables = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "KAFKA_BROKERS": brokers,
        "KAFKA_SESSION_TIMEOUT": "3s",
        "LOGGER_FORMAT": "json",
    }
    migrate(variables)
    return variables


def make_records(rng: Random, count: int) -> list[AlertRecord]:
    """Returns random alerts, and an alert per symbol that fires at the last update."""
    ends = [alert(value=LAST_LEVEL, id=number, symbol=symbol) for number, symbol in enumerate(SYMBOLS, 1)]
    records = [
        alert(
            kind := rng.choice([Kind.UP, Kind.DOWN, Kind.EITHER]),
            round(rng.uniform(97, 103), 1),
            id=number,
            symbol=rng.choice(SYMBOLS),
            repeat=rng.choice(list(Repeat)),
            cooldown_seconds=rng.choice([0, 5, 60]),
            side=Side.ABOVE if kind is Kind.DOWN else Side.BELOW,
        )
        for number in range(len(ends) + 1, len(ends) + 1 + count)
    ]
    return [*ends, *records]


def make_walk(rng: Random, steps: int) -> list[Update]:
    """Returns random walks of all symbols, with some late and some repeated updates."""
    first = int(time.time()) * 1_000_000 - steps * 100_000
    prices = dict.fromkeys(SYMBOLS, 100.0)
    updates = []
    for step in range(steps):
        for symbol in SYMBOLS:
            prices[symbol] = round(prices[symbol] + rng.gauss(0, 0.1), 1)
            updates.append(Update(symbol, prices[symbol], first + step * 100_000, step + 1))
    for place in range(500, len(updates), 500):
        updates.insert(place, updates.pop(place - 100))
        updates.insert(place, updates[place - 3])
    return updates


def test_engines_that_are_killed_join_and_leave_fire_each_alert_exactly_as_one_engine_would(
    environment: dict[str, str], brokers: str, tmp_path: Path
):
    rng, file = Random(11), tmp_path / "db.sqlite3"
    records, updates = make_records(rng, 400), make_walk(rng, 1_500)
    store_alerts(file, SYMBOLS, records)
    ends = [Update(symbol, LAST_LEVEL, updates[-1].timestamp + 1, 10**6) for symbol in SYMBOLS]
    topic = [*updates, *ends]
    expected = [
        firing
        for record in records
        for firing in expected_firings(record, [update for update in topic if update.symbol == record.symbol])
    ]
    assert len(expected) > 500

    parts = [updates[at : at + len(updates) // 4 + 1] for at in range(0, len(updates), len(updates) // 4 + 1)]
    engines = [Command("runalerts", environment, tmp_path / "0.log")]
    for number, part in enumerate(parts, 1):
        before = len(read_firings(file))
        produce_updates(brokers, part)
        wait_until(lambda before=before: len(read_firings(file)) > before, 120, "a firing")
        # Two engines share the partitions. The older one is killed, or stopped in an orderly way.
        engines.append(Command("runalerts", environment, tmp_path / f"{number}.log"))
        if number == 2:
            wait_until(lambda: engines[-1].logged("partitions assigned"), 120, "the second engine")
        engines[-2].end(signal.SIGTERM if number == 2 else signal.SIGKILL)
    produce_updates(brokers, ends)
    wait_until(
        lambda: {each[0] for each in read_firings(file)} >= set(range(1, len(SYMBOLS) + 1)), 120, "the last firings"
    )
    assert engines[-1].end() == 0
    assert sorted(read_firings(file)) == sorted(expected)
    assert not any(engine.logged("Traceback") for engine in engines)


def test_the_group_of_the_engine_must_be_another_one(environment: dict[str, str]):
    check = [sys.executable, str(ROOT / "manage.py"), "check"]
    variables = environment | {"ALERTS_GROUP_ID": "one", "RECORDER_GROUP_ID": "one"}
    ended = subprocess.run(check, env=variables, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "ALERTS_GROUP_ID='one' cannot be used" in ended.stderr
