import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from urllib.request import ProxyHandler, build_opener

import pytest
import redis

from feeds.kafka.embedded import EmbeddedCluster
from feeds.recorder.bars import Bar
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.kafka.fixtures import committed
from tests.support.kafka.traffic import produce_updates
from tests.support.servers.commands import Command, migrate
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
GROUP = "stock-recorder-group"
MINUTE_US = 60_000_000
SYMBOLS = [f"S{number}" for number in range(20)]
MINUTES = 1500
ROWS = """
SELECT tape.symbol, bar.id & 4294967295, open, high, low, close, count, first_seq, last_seq
FROM feeds_minutebar AS bar JOIN feeds_tape AS tape ON tape.id = bar.id >> 32
"""


class MonitoredRecorder(Command):
    """A `runrecorder` process whose metrics can be read."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._port = free_port()
        super().__init__("runrecorder", environment | {"RECORDER_METRICS_PORT": str(self._port)}, log)

    @property
    def updates_added(self) -> int:
        """The number of updates that it has added to bars, repeats included."""
        try:
            with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{self._port}/metrics", timeout=60) as response:
                text = response.read().decode()
        except OSError:
            return 0
        counts = re.findall(r"^stockwatch_recorder_(?:recorded|known)_total ([0-9.e+]+)$", text, re.MULTILINE)
        return int(sum(map(float, counts)))


@pytest.fixture
def brokers() -> Iterator[str]:
    with EmbeddedCluster() as cluster:
        yield cluster.addresses


@pytest.fixture
def environment(brokers: str, redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path) -> dict[str, str]:
    """The environment variables of a recorder with a migrated, empty database."""
    variables = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "REDIS_ADDR": redis_server.address,
        "KAFKA_BROKERS": brokers,
        "KAFKA_SESSION_TIMEOUT": "3s",
        "LOGGER_FORMAT": "json",
    }
    migrate(variables)
    return variables


def read_rows(file: Path) -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return set(database.execute(ROWS))


def expected(updates: list[Update]) -> set[tuple[object, ...]]:
    bars: dict[tuple[str, int], Bar] = {}
    for update in updates:
        key = update.symbol, update.timestamp // MINUTE_US
        bars.setdefault(key, Bar(key[1])).add(update)
    return {(*key, *bar.ohlc_count, bar.first_seq, bar.last_seq) for key, bar in bars.items()}


def test_recorders_killed_while_they_read_leave_the_same_bars_as_one_that_was_not_killed(
    environment: dict[str, str], brokers: str, tmp_path: Path
):
    rng = Random(5)
    first = int(time.time()) // 60 - MINUTES
    updates = [
        Update(symbol, round(100 + rng.random(), 2), (first + minute) * MINUTE_US + number, minute + 1)
        for minute in range(MINUTES)
        for number, symbol in enumerate(SYMBOLS)
    ]
    late = [Update(update.symbol, 200.0, update.timestamp + 1, update.seq_id + MINUTES) for update in updates[::100]]
    records = [*updates, *late, *updates[5_000:6_000]]
    produce_updates(brokers, records)
    file = tmp_path / "db.sqlite3"

    # The first is killed when it has saved some rows, the second when it has added all updates but not saved the last.
    first_recorder = MonitoredRecorder(environment, tmp_path / "one.log")
    wait_until(lambda: read_rows(file), 120, "saved rows")
    first_recorder.end(signal.SIGKILL)
    done = committed(brokers, "market_ticks", GROUP)
    assert done < len(records)
    second_recorder = MonitoredRecorder(environment, tmp_path / "two.log")
    wait_until(lambda: second_recorder.updates_added >= len(records) - done, 120, "the end of the topic")
    second_recorder.end(signal.SIGKILL)
    done = committed(brokers, "market_ticks", GROUP)
    third_recorder = MonitoredRecorder(environment, tmp_path / "three.log")
    wait_until(lambda: third_recorder.updates_added >= len(records) - done, 120, "the end of the topic")
    assert third_recorder.end() == 0

    assert read_rows(file) == expected([*updates, *late])
    assert committed(brokers, "market_ticks", GROUP) == len(records)
    assert not any(recorder.logged("Traceback") for recorder in (first_recorder, second_recorder, third_recorder))

    # A recorder in another group reads the whole topic again.
    other_group = MonitoredRecorder(environment | {"RECORDER_GROUP_ID": "another"}, tmp_path / "four.log")
    wait_until(lambda: other_group.updates_added == len(records), 120, "the end of the topic")
    assert other_group.end(signal.SIGINT) == 0
    assert read_rows(file) == expected([*updates, *late])


def test_the_recorder_waits_for_a_locked_database(environment: dict[str, str], brokers: str, tmp_path: Path):
    update = Update("AAPL", 150.0, int(time.time()) * 1_000_000, 1)
    produce_updates(brokers, [update])
    with closing(sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        recorder = MonitoredRecorder(environment, tmp_path / "log")
        wait_until(lambda: recorder.logged("database unavailable"), 120, "the outage")
        assert recorder.logged("database is locked")
        writer.execute("ROLLBACK")
    wait_until(lambda: recorder.updates_added == 1, 120, "the update")
    assert recorder.end() == 0
    assert recorder.logged("database available again")
    assert read_rows(tmp_path / "db.sqlite3") == expected([update])
