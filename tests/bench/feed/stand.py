"""Runs the pipeline for the bench of real prices.

Feeder, processor and recorder run as processes, with Kafka and Redis. The figures of a process come from its /metrics,
its log and /proc.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import redis

from stockwatch.local.redis_server import RedisServer, free_port
from tests.bench.serving import ROOT, cpu_seconds, resident_mb, sum_metric
from tests.support.feeder.process import add_tickers
from tests.support.servers.commands import migrate
from tests.support.waiting import wait_until

METRICS_PORTS = {
    "runfeed": "FEED_METRICS_PORT",
    "runprocessor": "PROCESSOR_METRICS_PORT",
    "runrecorder": "RECORDER_METRICS_PORT",
}
OBSERVER = "tests.bench.feed.observer"
QUIET_SECONDS = 120.0
"""The bench stops waiting for missing trades if the topic has had no new trade for this time."""


class MeasuredProcess:
    """A running Python program with a log file. `command` is its name, such as `runfeed`."""

    def __init__(self, command: str, program: list[str], variables: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self.log = log
        ports = {METRICS_PORTS[command]: str(self.port)} if command in METRICS_PORTS else {}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *program],
                cwd=ROOT,
                env=os.environ | variables | ports,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def metric(self, name: str, **labels: str) -> float:
        """Returns the sum of a metric's samples with these labels; 0 if the port does not listen."""
        return sum_metric(self.port, name, labels)

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    @property
    def megabytes(self) -> float:
        """The resident memory in MB."""
        return resident_mb(self.process.pid)

    def logged(self, text: str) -> list[dict[str, Any]]:
        """Returns the log lines that contain `text` in the field `event`."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if text in str(line.get("event"))]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(120)


class Stand:
    """All parts of one case. Each case has its own topic, groups and database, and an empty Redis."""

    def __init__(self, name: str, brokers: str, embedded: bool, server: RedisServer, folder: Path) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.topic = f"feed-{name}-{time.time_ns()}"
        self.brokers, self.server = brokers, server
        self.database = self.folder / "db.sqlite3"
        self.redis = redis.Redis(host=server.host, port=server.port, protocol=2)
        self.redis.flushall()
        self._processes: list[MeasuredProcess] = []
        self._variables = {
            "DATABASE_URL": f"sqlite:///{self.database}",
            "KAFKA_BROKERS": brokers,
            "KAFKA_TOPIC": self.topic,
            "KAFKA_DLQ_TOPIC": f"{self.topic}.dlq",
            "KAFKA_GROUP_ID": f"{self.topic}-processor",
            "RECORDER_GROUP_ID": f"{self.topic}-recorder",
            "KAFKA_SESSION_TIMEOUT": "3s" if embedded else "6s",
            "REDIS_ADDR": server.address,
            "LOGGER_FORMAT": "json",
            "NO_PROXY": "127.0.0.1",
        }
        migrate(os.environ | self._variables)

    def add_tickers(self, source: str, *symbols: str) -> None:
        add_tickers(self.database, source, *symbols)

    def start(self, command: str, *arguments: str, program: list[str] | None = None, **more: str) -> MeasuredProcess:
        """Starts the command `command` of manage.py. If `program` is given, starts `program` instead.

        All runs with the same `command` write to the same log file.
        """
        started = MeasuredProcess(
            command,
            [*(program or [str(ROOT / "manage.py"), command]), *arguments],
            self._variables | more,
            self.folder / f"{command}.log",
        )
        self._processes.append(started)
        return started

    def observe(self, *channels: str) -> "Observer":
        """Starts an observer of the topic and of these Redis channels."""
        arguments = [str(self.folder), self.brokers, self.topic, str(self.server.port), *channels]
        return Observer(self.start("observer", *arguments, program=["-m", OBSERVER]), self.folder)

    def finish(self, *commands: MeasuredProcess, trades: int, observer: "Observer") -> dict[str, Any]:
        """Waits for `trades` trades in the topic, then ends the commands in their order.

        `commands` are feeder, processor and recorder. Returns the figures of the observer.
        """
        observer.wait_for_trades(trades)
        feeder, processor, recorder = commands
        statuses = [feeder.end()]
        records = observer.wait_for_end()
        read = "stockwatch_processor_written_total", "stockwatch_processor_stale_total"
        wait_until(lambda: sum(map(processor.metric, read)) >= records, 300, "the processor at the end of the topic")
        recorded = "stockwatch_recorder_recorded_total", "stockwatch_recorder_known_total"
        wait_until(lambda: sum(map(recorder.metric, recorded)) >= records, 300, "the recorder at the end of the topic")
        statuses += [recorder.end(), processor.end()]
        return observer.end() | {"statuses": statuses}

    def close(self) -> None:
        """Kills all processes that still run."""
        for each in self._processes:
            if each.process.poll() is None:
                each.process.kill()
                each.process.wait()
        self.redis.close()


class Observer:
    """The running program `observer.py`, which writes figures to a file each second."""

    def __init__(self, process: MeasuredProcess, folder: Path) -> None:
        self._process = process
        self._file = folder / "observed.json"
        wait_until(self._file.exists, 60, "the observer")

    def read(self) -> dict[str, Any]:
        """Returns the figures so far."""
        figures: dict[str, Any] = json.loads(self._file.read_text())
        return figures

    def wait_for_trades(self, count: int) -> None:
        """Waits until the topic has `count` different trades, or for QUIET_SECONDS without a new trade."""
        seen, changed = -1, time.monotonic()
        while seen < count and time.monotonic() - changed < QUIET_SECONDS:
            time.sleep(0.5)
            if (trades := self.read()["trades"]) != seen:
                seen, changed = trades, time.monotonic()

    def wait_for_end(self) -> int:
        """Waits until no more records arrive. Returns the number of records."""
        records = -1
        while (now := self.read()["records"]) != records:
            records = now
            time.sleep(2.5)
        return records

    def end(self) -> dict[str, Any]:
        assert self._process.end() == 0
        return self.read()
