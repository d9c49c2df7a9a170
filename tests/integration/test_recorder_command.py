import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from urllib.request import ProxyHandler, build_opener

import pytest
import redis
from confluent_kafka import Producer

from feeds.kafka.embedded import EmbeddedCluster
from feeds.recorder.bars import Bar
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.commands import Command
from tests.support.kafka.fixtures import committed
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
GROUP = "stock-recorder-group"
MINUTE = 60_000_000
SYMBOLS = [f"S{number}" for number in range(20)]
MINUTES = 1500
ROWS = """
SELECT tape.symbol, bar.id & 4294967295, open, high, low, close, count, first_seq, last_seq
FROM feeds_minutebar AS bar JOIN feeds_tape AS tape ON tape.id = bar.id >> 32
"""


class Running(Command):
    """A recorder whose counters can be read."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._port = free_port()
        super().__init__("runrecorder", environment | {"RECORDER_METRICS_PORT": str(self._port)}, log)

    @property
    def entered(self) -> int:
        """How many updates it has entered so far."""
        try:
            with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return 0
        counts = re.findall(r"^stockwatch_recorder_(?:recorded|known)_total ([0-9.e+]+)$", text, re.MULTILINE)
        return int(sum(map(float, counts)))


@pytest.fixture
def brokers() -> Iterator[str]:
    with EmbeddedCluster() as cluster:
        yield cluster.addresses


@pytest.fixture
def place(brokers: str, redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path) -> dict[str, str]:
    """The environment of a recorder with a migrated database of its own."""
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "REDIS_ADDR": redis_server.address,
        "KAFKA_BROKERS": brokers,
        "KAFKA_SESSION_TIMEOUT": "3s",
        "LOGGER_FORMAT": "json",
    }
    migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "-v0"]
    subprocess.run(migrate, env=environment, check=True, timeout=60)
    return environment


def read_rows(file: Path) -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return set(database.execute(ROWS))


def expected(updates: list[Update]) -> set[tuple[object, ...]]:
    bars: dict[tuple[str, int], Bar] = {}
    for update in updates:
        key = update.symbol, update.timestamp // MINUTE
        bars.setdefault(key, Bar(key[1])).add(update)
    return {(*key, *bar.figures, bar.first_seq, bar.last_seq) for key, bar in bars.items()}


def test_recorders_killed_while_they_read_leave_the_bars_of_one_that_was_not(
    place: dict[str, str], brokers: str, tmp_path: Path
):
    chance = Random(5)
    first = int(time.time()) // 60 - MINUTES
    updates = [
        Update(symbol, round(100 + chance.random(), 2), (first + minute) * MINUTE + number, minute + 1)
        for minute in range(MINUTES)
        for number, symbol in enumerate(SYMBOLS)
    ]
    late = [Update(each.symbol, 200.0, each.timestamp + 1, each.seq_id + MINUTES) for each in updates[::100]]
    records = [*updates, *late, *updates[5_000:6_000]]
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "log_level": 2})
    for update in records:
        producer.produce("market_ticks", encode(update), update.symbol.encode())
        producer.poll(0)
    assert producer.flush(30) == 0
    producer.close()
    file = tmp_path / "db.sqlite3"

    # One is killed when its first rows are there, one when it has entered all and saved the last of it nowhere.
    one = Running(place, tmp_path / "one.log")
    wait_until(lambda: read_rows(file), 40, "rows")
    one.end(signal.SIGKILL)
    behind = committed(brokers, "market_ticks", GROUP)
    assert behind < len(records)
    two = Running(place, tmp_path / "two.log")
    wait_until(lambda: two.entered >= len(records) - behind, 40, "the end of the topic")
    two.end(signal.SIGKILL)
    behind = committed(brokers, "market_ticks", GROUP)
    three = Running(place, tmp_path / "three.log")
    wait_until(lambda: three.entered >= len(records) - behind, 40, "the end of the topic")
    assert three.end() == 0

    assert read_rows(file) == expected([*updates, *late])
    assert committed(brokers, "market_ticks", GROUP) == len(records)
    assert not any(each.logged("Traceback") for each in (one, two, three))

    # Another group reads it all once more.
    four = Running(place | {"RECORDER_GROUP_ID": "another"}, tmp_path / "four.log")
    wait_until(lambda: four.entered == len(records), 40, "the end of the topic")
    assert four.end(signal.SIGINT) == 0
    assert read_rows(file) == expected([*updates, *late])


def test_a_locked_database_is_waited_for(place: dict[str, str], brokers: str, tmp_path: Path):
    producer = Producer({"bootstrap.servers": brokers, "log_level": 2})
    update = Update("AAPL", 150.0, int(time.time()) * 1_000_000, 1)
    producer.produce("market_ticks", encode(update), b"AAPL")
    assert producer.flush(30) == 0
    producer.close()
    with closing(sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        recorder = Running(place, tmp_path / "log")
        wait_until(lambda: recorder.logged("database unavailable"), 40, "the outage")
        assert recorder.logged("database is locked")
        other.execute("ROLLBACK")
    wait_until(lambda: recorder.entered == 1, 20, "the update")
    assert recorder.end() == 0
    assert recorder.logged("database available again")
    assert read_rows(tmp_path / "db.sqlite3") == expected([update])
