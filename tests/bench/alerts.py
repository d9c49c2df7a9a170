"""Measures the alert engine: `make bench-alerts`, or `python -m tests.bench.alerts [ALERTS]`.

There are a million alerts on 500 symbols by default. The levels lie so that about 20 alerts fire per second while each
symbol has 10 updates per second. The real `runalerts` reads from embedded Kafka brokers and writes to an SQLite file.
Afterwards, one update reaches 10,000 levels at once.

The delay of a firing is the time from the producer's timestamp of the record until the transaction of the firing has
ended. Prints a table and writes `build/bench-alerts.json`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from feeds.kafka.embedded import EmbeddedCluster
from feeds.wire import Update, encode
from tests.bench.gateway import BUILD
from tests.bench.measured_command import MeasuredCommand
from tests.bench.serving import ROOT
from tests.support.alerting.evaluation import alert
from tests.support.alerting.rows import count_firings, store_alerts
from tests.support.recording.bars import UTC_EVERYWHERE
from tests.support.waiting import wait_until
from watchlist.alert_kinds import Kind, Side
from watchlist.alerts.evaluator import Evaluator
from watchlist.alerts.records import AlertRecord

SYMBOLS = [f"S{number}" for number in range(500)]
UPDATES_PER_SECOND = 10
SECONDS = 30
STEP = 0.01
"""How much each price grows with each update."""
SPACING = 2.5
"""The distance of two levels that are reached. A price reaches a level each 25 s, so 20 alerts fire per second."""
GAP_ALERTS = 10_000
GAP_LEVEL = 1e6
METRIC = "stockwatch_alerts_delay_seconds_bucket"


def make_records(count: int) -> Iterator[AlertRecord]:
    """Yields alerts of all symbols, half of them above and half of them below the price 100.

    The last GAP_ALERTS alerts have high levels of the first symbol.
    """
    for number in range(count):
        place, symbol = divmod(number, len(SYMBOLS))
        offset = SPACING * symbol / len(SYMBOLS)
        if number >= count - GAP_ALERTS:
            yield alert(id=number + 1, symbol=SYMBOLS[0], value=GAP_LEVEL + number)
        elif place % 2:
            level = 100 - 0.04 * (place + 1)
            yield alert(Kind.DOWN, level, id=number + 1, symbol=SYMBOLS[symbol], side=Side.ABOVE)
        else:
            yield alert(id=number + 1, symbol=SYMBOLS[symbol], value=100.05 + offset + SPACING * place / 2)


def make_updates(step: int) -> list[Update]:
    """Returns an update of each symbol, with the time of now."""
    timestamp = time.time_ns() // 1000
    return [Update(symbol, round(100 + step * STEP, 2), timestamp, step + 1) for symbol in SYMBOLS]


def resident() -> int:
    """Returns the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure_index(count: int) -> dict[str, Any]:
    """Measures the evaluation alone, in this process: bytes and microseconds of CPU."""
    before = resident()
    evaluator = Evaluator(UTC_EVERYWHERE, lambda *_: 100.0)
    started = time.process_time()
    for record in make_records(count):
        evaluator.put(record)
    put_seconds = time.process_time() - started
    grown = resident() - before
    steps = [make_updates(step) for step in range(200)]
    started = time.process_time()
    for updates in steps:
        for update in updates:
            evaluator.apply(update, "simulated")
    seconds = time.process_time() - started
    return {
        "index bytes per alert": round(evaluator.size / count, 1),
        "grown memory per alert, bytes": round(grown / count, 1),
        "us CPU to add an alert": round(put_seconds / count * 1e6, 2),
        "us CPU per update": round(seconds / (len(steps) * len(SYMBOLS)) * 1e6, 2),
        "firings in these updates": len(evaluator.take_changes()[1]),
    }


class Topic:
    """Writes updates to the topic of the alert engine."""

    def __init__(self, brokers: str) -> None:
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 5})

    def send(self, updates: list[Update]) -> None:
        for update in updates:
            self._producer.produce("market_ticks", encode(update), update.symbol.encode())
        self._producer.poll(0)

    def walk(self, first: int, seconds: float) -> int:
        """Sends UPDATES_PER_SECOND updates of each symbol per second. Returns the number of the next step."""
        started = time.monotonic()
        steps = int(seconds * UPDATES_PER_SECOND)
        for number in range(steps):
            time.sleep(max(0.0, started + number / UPDATES_PER_SECOND - time.monotonic()))
            self.send(make_updates(first + number))
        self._producer.flush(30)
        return first + steps

    def close(self) -> None:
        self._producer.close()


def measure_engine(count: int, folder: Path) -> dict[str, Any]:
    """Measures `runalerts`."""
    file = folder / "db.sqlite3"
    with EmbeddedCluster() as cluster:
        variables = {
            "FOLDER": str(folder),
            "DATABASE_URL": f"sqlite:///{file}",
            "KAFKA_BROKERS": cluster.addresses,
            "KAFKA_SESSION_TIMEOUT": "3s",
        }
        migrate = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(migrate, cwd=ROOT, env=os.environ | variables, check=True)
        store_alerts(file, SYMBOLS, make_records(count))
        started = time.monotonic()
        command, topic = MeasuredCommand("runalerts", variables), Topic(cluster.addresses)
        try:
            return _measure_running(command, topic, file, started, count)
        finally:
            topic.close()
            command.end()


def _measure_running(command: MeasuredCommand, topic: Topic, file: Path, started: float, count: int) -> dict[str, Any]:
    topic.send(make_updates(0))
    wait_until(command.sample, 300, "the first update")
    start_up, start_up_cpu = time.monotonic() - started, command.samples[-1][2]
    step = topic.walk(1, 5)
    command.sample()
    _, first, first_cpu, _ = command.samples[-1]
    fired_before = count_firings(file)
    topic.walk(step, SECONDS)
    command.sample()
    _, last, last_cpu, megabytes = command.samples[-1]
    delays = {bound: command.metric(METRIC, le=bound) for bound in ("0.05", "0.1", "0.25", "+Inf")}
    fired = count_firings(file)
    gap = measure_gap(topic, file, count)
    return {
        "start-up until the first update is read, s": round(start_up, 1),
        "CPU time of the start-up, s": round(start_up_cpu, 1),
        "updates per second": round((last - first) / SECONDS),
        "firings per second": round((fired - fired_before) / SECONDS, 1),
        "cores": round((last_cpu - first_cpu) / SECONDS, 3),
        "us CPU per update": round((last_cpu - first_cpu) / (last - first) * 1e6, 1),
        "resident MB": megabytes,
        "firings within 50, 100, 250 ms, %": [
            round(100 * delays[bound] / delays["+Inf"], 2) for bound in ("0.05", "0.1", "0.25")
        ],
        "s until 10,000 firings at once are written": round(gap, 2),
    }


def measure_gap(topic: Topic, file: Path, count: int) -> float:
    """Sends one update that reaches GAP_ALERTS levels. Returns the seconds until all firings are in the database."""
    sent = time.monotonic()
    topic.send([Update(SYMBOLS[0], 10 * GAP_LEVEL, time.time_ns() // 1000, 10**9)])
    first = count - GAP_ALERTS + 1
    wait_until(lambda: count_firings(file, first) == GAP_ALERTS, 60, "all firings")
    return time.monotonic() - sent


def report(results: dict[str, Any]) -> None:
    for name, value in results.items():
        print(f"{name:48} {value}", flush=True)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    results = {"alerts": count} | measure_index(count)
    report(results)
    with tempfile.TemporaryDirectory() as folder:
        engine = measure_engine(count, Path(folder))
    report(engine)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench-alerts.json").write_text(json.dumps(results | engine, indent=1))


if __name__ == "__main__":
    main()
