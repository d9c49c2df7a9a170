"""Generator, processor and recorder in figures: `make bench-pipeline`, or `python -m tests.bench.pipeline [CASE …]`.

The real commands as processes of their own, watched from outside: their /metrics for what they have done, /proc for CPU
and memory. On three real brokers of its own where Java is, on embedded ones with --embedded, on others with --brokers.
Everything shares one machine. Prints a table and writes `build/bench-pipeline.json`.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.request import ProxyHandler, build_opener

import redis
from prometheus_client.parser import text_string_to_metric_families

from feeds.kafka.embedded import EmbeddedCluster
from stockwatch.local.redis_server import RedisServer, free_port
from tests.bench.gateway import BUILD, commit
from tests.bench.serving import ROOT
from tests.support.kafka.brokers import Brokers, NoKafka
from tests.support.waiting import wait_until

CASES = ("generator", "processor", "recorder", "latency")
METRICS = {
    "runkafkagen": ("GENERATOR_METRICS_PORT", "stockwatch_generator_delivered_total"),
    "runprocessor": ("PROCESSOR_METRICS_PORT", "stockwatch_processor_read_total"),
    "runrecorder": ("RECORDER_METRICS_PORT", "stockwatch_recorder_recorded_total"),
}
WARM_UP = 5
"""Seconds of the generator's work before its case begins: cold brokers take their time."""
EMBEDDED_HOLD = 150_000
"""Records; the embedded cluster keeps 5 MiB of a partition."""

# What the table shows of a row, with its decimals and title.
KEYS = ("updates_s", "updates_per_cpu_s", "cpu", "rss_mb_half_way", "rss_mb", "p50_ms", "p99_ms", "load")
DECIMALS = (0, 0, 2, 0, 0, 1, 1, 1)
TITLES = ("updates/s", "per CPU-s", "CPU", "MB half-way", "MB most", "p50 ms", "p99 ms", "load")

Row = dict[str, Any]


class Watched:
    """One command at work, on these variables."""

    def __init__(self, command: str, variables: dict[str, str]) -> None:
        variable, self._done = METRICS[command]
        self._port = free_port()
        self._open = build_opener(ProxyHandler({})).open
        self.samples: list[tuple[float, float, float, int]] = []
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), command],
            env=os.environ | variables | {variable: str(self._port), "LOGGER_LEVEL": "error"},
            cwd=variables["FOLDER"],
        )

    def counted(self, name: str) -> float:
        """A counter as its /metrics has it; 0 before it listens."""
        try:
            with self._open(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                families = list(text_string_to_metric_families(answer.read().decode()))
        except OSError:
            return 0.0
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)

    def sample(self) -> float:
        """Notes time, what is done, CPU seconds and MB; returns what is done."""
        done = self.counted(self._done)
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        memory = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 2**20
        self.samples.append((time.monotonic(), done, cpu, memory))
        return done

    def watch(self, until: float, pause: float, seconds: float = 600.0) -> Row:
        """From the first update on until so many are done: updates per second, per CPU-second, and memory."""
        wait_until(self.sample, 60, "the first update")
        del self.samples[:-1]
        deadline = time.monotonic() + seconds
        while self.sample() < until and time.monotonic() < deadline:
            time.sleep(pause)
        (begun, first, spent, _), (ended, last, cpu, _) = self.samples[0], self.samples[-1]
        memory = [megabytes for *_rest, megabytes in self.samples]
        return {
            "updates": last - first,
            "updates_s": (last - first) / (ended - begun),
            "updates_per_cpu_s": (last - first) / max(cpu - spent, 0.01),
            "cpu": (cpu - spent) / (ended - begun),
            "rss_mb": max(memory),
            "rss_mb_half_way": memory[len(memory) // 2],
        }

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Bench:
    """The servers, and what all cases share."""

    def __init__(self, brokers: str, embedded: bool, server: RedisServer, folder: Path) -> None:
        self.brokers = brokers
        self.embedded = embedded
        self.server = server
        self.client = redis.Redis(host=server.host, port=server.port, protocol=2)
        self.folder = folder
        self.rows: list[Row] = []
        self._programs: list[Watched] = []
        self._empty = folder / "empty.sqlite3"
        self._count = 0
        variables = os.environ | {"DATABASE_URL": f"sqlite:///{self._empty}"}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=variables, check=True)

    def variables(self, topic: str, tickers: int = 0, **more: str) -> dict[str, str]:
        """For a command with a database of its own; tickers are T0, T1, …"""
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

    def run(self, command: str, variables: dict[str, str]) -> Watched:
        self._programs.append(Watched(command, variables))
        return self._programs[-1]

    def close(self) -> None:
        """Ends what a case that failed has left."""
        for program in self._programs:
            program.process.kill()
            program.process.wait()
        self.client.close()

    def report(self, name: str, row: Row) -> None:
        row = {"case": name, "load": os.getloadavg()[0]} | row
        self.rows.append(row)
        cells = [f"{row[key]:,.{digits}f}" if key in row else "" for key, digits in zip(KEYS, DECIMALS, strict=True)]
        print(f"{name:44}" + "".join(f"{cell:>12}" for cell in cells) + f"   {row.get('note', '')}", flush=True)

    def measure_generator(self, seconds: float) -> None:
        """Updates acknowledged by all brokers, as many a second as are offered, once the brokers are warm."""
        for tickers, interval, offered in ((5_000, "100ms", 50_000), (1_000, "100ms", 10_000)):
            topic = f"bench-generator-{offered}-{time.time_ns()}"
            generator = self.run("runkafkagen", self.variables(topic, tickers, GENERATOR_INTERVAL=interval))
            name = "stockwatch_generator_missed_intervals_total"
            wait_until(lambda generator=generator, enough=offered * WARM_UP: generator.sample() > enough, 60)
            early = generator.counted(name)
            row = generator.watch(offered * (seconds + WARM_UP), 0.2)
            missed = generator.counted(name) - early
            status = generator.end()
            note = f"missed intervals {missed:.0f}, " + ("all acked" if status == 0 else "NOT all acked")
            self.report(f"generator, {tickers:,} tickers, {offered:,}/s offered", row | {"note": note})

    def fill(self, updates: int) -> str:
        """A topic of so many updates of 100 tickers, by a generator that is restarted half way."""
        topic = f"bench-filled-{time.time_ns()}"
        variables = self.variables(topic, 100, GENERATOR_INTERVAL="1ms")
        for part in (1, 2):
            generator = self.run("runkafkagen", variables)
            row = generator.watch(updates / 2, 0.1)
            assert generator.end() == 0, "the generator lost updates"
            self.report(f"generator, 100 tickers, as fast as it can ({part})", row)
        return topic

    def measure_processor(self, topic: str, updates: int, workers: list[int], beside: str) -> None:
        """The same topic for each number of workers into an empty Redis, and once more into the full one."""
        for count in workers:
            self.client.flushall()
            for turn in ("", ", replayed"):
                variables = self.variables(topic, PROCESSOR_NUM_WORKERS=str(count))
                row = self.process(self.run("runprocessor", variables), updates)
                self.report(f"processor, {count} workers{turn}", row)
        if beside:
            self.client.flushall()
            command = [sys.executable, beside, self.brokers, topic, str(updates), str(self.server.port)]
            said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
            rate, per_cpu = re.findall(r"([\d,]+) (?:updates/s|per CPU)", said)
            row = {"updates_s": float(rate.replace(",", "")), "updates_per_cpu_s": float(per_cpu.replace(",", ""))}
            self.report(f"beside it: {Path(beside).name}", row)

    def process(self, processor: Watched, updates: int) -> Row:
        """A processor's way through the topic; the note says how many it published."""
        row = processor.watch(updates, 0.02 if self.embedded else 0.2)
        written, stale = "stockwatch_processor_written_total", "stockwatch_processor_stale_total"
        wait_until(lambda: processor.counted(written) + processor.counted(stale) >= updates, 60)
        note = f"published {processor.counted(written):,.0f}"
        assert processor.end() == 0
        return row | {"note": note}

    def measure_recorder(self, topic: str, updates: int) -> None:
        self.client.flushall()
        recorder = self.run("runrecorder", self.variables(topic))
        row = recorder.watch(updates, 0.2)
        assert recorder.end() == 0
        self.report("recorder", row)

    def measure_latency(self, seconds: float, warm_up: float = 10.0) -> None:
        """From the generator's stamp to a subscriber of Redis: 4 tickers at 10/s."""
        self.client.flushall()
        variables = self.variables(f"bench-latency-{time.time_ns()}", 4)
        programs = [self.run("runprocessor", variables), self.run("runkafkagen", variables)]
        channel = self.client.pubsub()
        channel.psubscribe("prices.*")
        delays: list[float] = []
        begun = 0.0
        for message in channel.listen():
            now = time.time()
            if message["type"] != "pmessage":
                continue
            begun = begun or now
            if now > begun + warm_up:
                delays.append(now * 1e3 - json.loads(message["data"])["timestamp"] / 1e3)
            if now > begun + warm_up + seconds:
                break
        channel.close()
        assert [program.end() for program in reversed(programs)] == [0, 0]
        cuts = quantiles(delays, n=100)
        row = {"p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(delays), "updates": len(delays)}
        self.report(f"latency to a subscriber over {seconds:.0f} s", row | {"note": f"{len(delays)} updates"})


@contextmanager
def choose_brokers(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Addresses, and what they are."""
    if arguments.brokers:
        yield arguments.brokers, "given brokers"
        return
    cluster: AbstractContextManager[Any] = EmbeddedCluster()
    kind = "embedded brokers"
    if not arguments.embedded:
        try:
            cluster, kind = Brokers(tuning=()), "three real brokers"
        except NoKafka as error:
            print(f"On embedded brokers, for real ones cannot run here: {error}")
    with cluster as running:
        yield running.addresses, kind


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pipeline")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(CASES)}; all without any")
    parser.add_argument("--brokers", default="", help="brokers that run already, host:port between commas")
    parser.add_argument("--embedded", action="store_true", help="embedded brokers though there is Java")
    parser.add_argument("--updates", type=int, default=5_000_000, help="in the topic for processor and recorder")
    parser.add_argument("--workers", default="1,2,4,10", help="of the processor, each in its turn")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each case of the generator")
    parser.add_argument("--latency", type=float, default=120.0, help="seconds of the case of that name")
    parser.add_argument("--beside", default="", help="a script to compare with: BROKERS TOPIC COUNT REDIS_PORT")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    arguments = parse(words)
    cases = arguments.cases or list(CASES)
    workers = [int(count) for count in arguments.workers.split(",")]
    with ExitStack() as stack:
        folder, server = stack.enter_context(tempfile.TemporaryDirectory()), stack.enter_context(RedisServer())
        where, kind = stack.enter_context(choose_brokers(arguments))
        bench = stack.enter_context(closing(Bench(where, kind.startswith("embedded"), server, Path(folder))))
        updates = min(arguments.updates, EMBEDDED_HOLD) if bench.embedded else arguments.updates
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
