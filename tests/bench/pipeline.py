"""Measures generator, processor and recorder: `make bench-pipeline`, or `python -m tests.bench.pipeline [CASE …]`.

Runs the real commands as processes on this machine. Counts come from /metrics; CPU time and memory come from /proc. If
Java is installed, three real Kafka brokers are started. With --embedded, embedded brokers are used. With --brokers, the
brokers at the given addresses are used. Prints a table and writes `build/bench-pipeline.json`.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import redis

from feeds.kafka.embedded import EmbeddedCluster
from stockwatch.local.redis_server import RedisServer
from tests.bench.gateway import BUILD, commit
from tests.bench.measured_command import MeasuredCommand, Row
from tests.bench.serving import ROOT
from tests.support.kafka.brokers import Brokers, KafkaNotInstalled
from tests.support.waiting import wait_until

CASES = ("generator", "processor", "recorder", "latency")
WARM_UP_SECONDS = 5
"""How many seconds the generator runs before its measurement, because brokers are slow after their start."""
MAX_EMBEDDED_RECORDS = 150_000
"""The maximum number of records for embedded brokers, which keep 5 MiB per partition."""

# The columns of the table.
KEYS = ("updates_s", "updates_per_cpu_s", "cpu", "rss_mb_half_way", "rss_mb", "p50_ms", "p99_ms", "load")
DECIMALS = (0, 0, 2, 0, 0, 1, 1, 1)
TITLES = ("updates/s", "per CPU-s", "CPU", "MB half-way", "MB max", "p50 ms", "p99 ms", "load")


class Bench:
    """The servers and commands that all cases use."""

    def __init__(self, brokers: str, embedded: bool, server: RedisServer, folder: Path) -> None:
        self.brokers = brokers
        self.embedded = embedded
        self.server = server
        self.client = redis.Redis(host=server.host, port=server.port, protocol=2)
        self.folder = folder
        self.rows: list[Row] = []
        self._commands: list[MeasuredCommand] = []
        self._empty = folder / "empty.sqlite3"
        self._count = 0
        variables = os.environ | {"DATABASE_URL": f"sqlite:///{self._empty}"}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=variables, check=True)

    def variables(self, topic: str, tickers: int = 0, **more: str) -> dict[str, str]:
        """Returns the environment of a command. Each command has its own database.

        The tickers are T0, T1, …
        """
        self._count += 1
        database = shutil.copy(self._empty, self.folder / f"{self._count}.sqlite3")
        names = [f"T{number}" for number in range(tickers)]
        return {
            "FOLDER": str(self.folder),
            "DATABASE_URL": f"sqlite:///{database}",
            "KAFKA_BROKERS": self.brokers,
            "KAFKA_TOPIC": topic,
            "KAFKA_DLQ_TOPIC": f"{topic}.dlq",
            "KAFKA_GROUP_ID": f"bench-{self._count}",
            "RECORDER_GROUP_ID": f"bench-recorder-{self._count}",
            "KAFKA_SESSION_TIMEOUT": "3s" if self.embedded else "6s",
            "REDIS_ADDR": self.server.address,
            "GENERATOR_TICKERS": ",".join(names),
            **{f"GENERATOR_BASE_PRICES_{name}": "100" for name in names},
            **more,
        }

    def run(self, command: str, variables: dict[str, str]) -> MeasuredCommand:
        self._commands.append(MeasuredCommand(command, variables))
        return self._commands[-1]

    def close(self) -> None:
        """Kills the commands that still run after a failed case."""
        for command in self._commands:
            command.process.kill()
            command.process.wait()
        self.client.close()

    def report(self, name: str, row: Row) -> None:
        row = {"case": name, "load": os.getloadavg()[0]} | row
        self.rows.append(row)
        cells = [f"{row[key]:,.{digits}f}" if key in row else "" for key, digits in zip(KEYS, DECIMALS, strict=True)]
        print(f"{name:44}" + "".join(f"{cell:>12}" for cell in cells) + f"   {row.get('note', '')}", flush=True)

    def measure_generator(self, seconds: float) -> None:
        """Measures how many updates per second Kafka acknowledges. The generator has run for WARM_UP_SECONDS before."""
        for tickers, interval, offered in ((5_000, "100ms", 50_000), (1_000, "100ms", 10_000)):
            topic = f"bench-generator-{offered}-{time.time_ns()}"
            generator = self.run("runkafkagen", self.variables(topic, tickers, GENERATOR_INTERVAL=interval))
            name = "stockwatch_generator_missed_intervals_total"
            wait_until(lambda generator=generator, enough=offered * WARM_UP_SECONDS: generator.sample() > enough, 60)
            missed_before = generator.metric(name)
            row = generator.measure(offered * (seconds + WARM_UP_SECONDS), 0.2)
            missed = generator.metric(name) - missed_before
            status = generator.end()
            note = f"missed intervals {missed:.0f}, " + ("all acked" if status == 0 else "NOT all acked")
            self.report(f"generator, {tickers:,} tickers, {offered:,}/s offered", row | {"note": note})

    def fill(self, updates: int) -> str:
        """Fills a topic with updates of 100 tickers. The generator is restarted after half of the updates."""
        topic = f"bench-filled-{time.time_ns()}"
        variables = self.variables(topic, 100, GENERATOR_INTERVAL="1ms")
        for part in (1, 2):
            generator = self.run("runkafkagen", variables)
            row = generator.measure(updates / 2, 0.1)
            assert generator.end() == 0, "the generator lost updates"
            self.report(f"generator, 100 tickers, at full speed ({part})", row)
        return topic

    def measure_processor(self, topic: str, updates: int, workers: list[int], comparison: str) -> None:
        """Processes the topic twice with each number of workers.

        The first time, Redis is empty. The second time, Redis holds the newest update of each symbol.
        """
        for count in workers:
            self.client.flushall()
            for suffix in ("", ", replayed"):
                variables = self.variables(topic, PROCESSOR_NUM_WORKERS=str(count))
                row = self.process(self.run("runprocessor", variables), updates)
                self.report(f"processor, {count} workers{suffix}", row)
        if comparison:
            self.client.flushall()
            command = [sys.executable, comparison, self.brokers, topic, str(updates), str(self.server.port)]
            output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
            rate, per_cpu = re.findall(r"([\d,]+) (?:updates/s|per CPU)", output)
            row = {"updates_s": float(rate.replace(",", "")), "updates_per_cpu_s": float(per_cpu.replace(",", ""))}
            self.report(f"comparison: {Path(comparison).name}", row)

    def process(self, processor: MeasuredCommand, updates: int) -> Row:
        """Measures a processor until the topic is processed. The result has a note with the number of publications."""
        row = processor.measure(updates, 0.02 if self.embedded else 0.2)
        written, stale = "stockwatch_processor_written_total", "stockwatch_processor_stale_total"
        wait_until(lambda: processor.metric(written) + processor.metric(stale) >= updates, 60)
        note = f"published {processor.metric(written):,.0f}"
        assert processor.end() == 0
        return row | {"note": note}

    def measure_recorder(self, topic: str, updates: int) -> None:
        self.client.flushall()
        recorder = self.run("runrecorder", self.variables(topic))
        row = recorder.measure(updates, 0.2)
        assert recorder.end() == 0
        self.report("recorder", row)

    def measure_latency(self, seconds: float, warm_up: float = 10.0) -> None:
        """Measures the time from an update's timestamp to its arrival at a subscriber of Redis.

        There are 4 tickers with 10 updates per second each.
        """
        self.client.flushall()
        variables = self.variables(f"bench-latency-{time.time_ns()}", 4)
        commands = [self.run("runprocessor", variables), self.run("runkafkagen", variables)]
        channel = self.client.pubsub()
        channel.psubscribe("prices.*")
        delays: list[float] = []
        started = 0.0
        for message in channel.listen():
            now = time.time()
            if message["type"] != "pmessage":
                continue
            started = started or now
            if now > started + warm_up:
                delays.append(now * 1e3 - json.loads(message["data"])["timestamp"] / 1e3)
            if now > started + warm_up + seconds:
                break
        channel.close()
        assert [command.end() for command in reversed(commands)] == [0, 0]
        cuts = quantiles(delays, n=100)
        row = {"p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(delays), "updates": len(delays)}
        self.report(f"latency to a subscriber over {seconds:.0f} s", row | {"note": f"{len(delays)} updates"})


@contextmanager
def choose_brokers(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yields two texts: the addresses of the brokers, and the kind of the brokers."""
    with choose_cluster(arguments) as (cluster, kind):
        yield cluster if isinstance(cluster, str) else cluster.addresses, kind


@contextmanager
def choose_cluster(arguments: argparse.Namespace) -> Iterator[tuple[str | EmbeddedCluster | Brokers, str]]:
    """Yields two values: the started brokers or the given addresses, and the kind of the brokers."""
    if arguments.brokers:
        yield arguments.brokers, "given brokers"
        return
    cluster: AbstractContextManager[Any] = EmbeddedCluster()
    kind = "embedded brokers"
    if not arguments.embedded:
        try:
            cluster, kind = Brokers(tuning=()), "three real brokers"
        except KafkaNotInstalled as error:
            print(f"On embedded brokers, because real ones cannot run here: {error}")
    with cluster as started:
        yield started, kind


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pipeline")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(CASES)}; the default is all")
    parser.add_argument("--brokers", default="", help="addresses of running brokers, host:port, separated by commas")
    parser.add_argument("--embedded", action="store_true", help="embedded brokers even if there is Java")
    parser.add_argument(
        "--updates", type=int, default=5_000_000, help="updates in the topic for processor and recorder"
    )
    parser.add_argument(
        "--workers", default="1,2,4,10", help="numbers of workers of the processor, separated by commas"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="duration of each case of the generator")
    parser.add_argument("--latency", type=float, default=120.0, help="duration of the case latency")
    parser.add_argument("--beside", default="", help="a script to compare with: BROKERS TOPIC COUNT REDIS_PORT")
    return parser.parse_args(arguments)


def main(argv: list[str]) -> int:
    arguments = parse_arguments(argv)
    cases = arguments.cases or list(CASES)
    workers = [int(count) for count in arguments.workers.split(",")]
    with ExitStack() as stack:
        folder, server = stack.enter_context(tempfile.TemporaryDirectory()), stack.enter_context(RedisServer())
        addresses, kind = stack.enter_context(choose_brokers(arguments))
        bench = stack.enter_context(closing(Bench(addresses, kind.startswith("embedded"), server, Path(folder))))
        updates = min(arguments.updates, MAX_EMBEDDED_RECORDS) if bench.embedded else arguments.updates
        print(f"On {kind}, everything on {os.cpu_count()} cores.")
        print(" " * 44 + "".join(f"{title:>12}" for title in TITLES))
        if "generator" in cases:
            bench.measure_generator(arguments.seconds)
        if {"processor", "recorder"} & set(cases):
            topic = bench.fill(updates)
            if "processor" in cases:
                bench.measure_processor(topic, updates, workers, arguments.beside)
            if "recorder" in cases:
                bench.measure_recorder(topic, updates)
        if "latency" in cases:
            bench.measure_latency(arguments.latency)
    result = {"commit": commit(), "machine": f"{platform.platform()}, {os.cpu_count()} cores", "brokers": kind}
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench-pipeline.json").write_text(json.dumps(result | {"rows": bench.rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
