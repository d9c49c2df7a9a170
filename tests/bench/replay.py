"""Replays one day and compares rows: `make bench-replay`, or `python -m tests.bench.replay [SYMBOLS]`.

The topic holds a UTC day of 500 symbols. Each symbol has one update per 10 s: 4.3 million records in total. Some
updates are late, some are repeated. At noon the seq_ids start at 1 again, as after a change of the generator. The real
recorder uses a real Redis and a database file. It reads the records from memory instead of Kafka.

There are three runs. The first run begins with empty tables. The second run begins with all rows of the first run. The
third run begins with empty tables, and the recorder is killed (SIGKILL) at random moments. All runs must give the same
rows. Every update must be counted once.

Prints a table and writes `build/bench-replay.json`. The CPU time does not include the making of the records. The
figures of the third run are the figures of its last process. Exits with 1 if a row differs.
"""

import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
DAY_BEGIN = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp())
STEP_SECONDS = 10
STEPS = 86_400 // STEP_SECONDS
PARTITIONS = 4
RECORDS_PER_READ = 501
"""The maximum number of records that one read of the Kafka client returns."""
KILLS = 5
MINUTE_COLUMNS = (
    "tape.symbol, bar.id & 4294967295, open, high, low, close, count, first_us, last_us, first_seq, last_seq, runs"
)
DAY_COLUMNS = "tape.symbol, bar.day, open, high, low, close, count, first_at, last_at, first_seq, last_seq, runs"
QUERIES = {
    "minutes": f"SELECT {MINUTE_COLUMNS} FROM feeds_minutebar AS bar JOIN feeds_tape AS tape ON tape.id = bar.id >> 32",
    "days": f"SELECT {DAY_COLUMNS} FROM feeds_daybar AS bar JOIN feeds_tape AS tape ON tape.id = bar.tape_id",
}


class Record:
    """A record of the topic, with the methods of the Kafka client's records."""

    __slots__ = ("_key", "_offset", "_value")

    def __init__(self, update: Update, offset: int) -> None:
        self._key = update.symbol.encode()
        self._value = encode(update)
        self._offset = offset

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes:
        return self._value

    def partition(self) -> int:
        return self._offset % PARTITIONS

    def offset(self) -> int:
        return self._offset

    def headers(self) -> None:
        return None


def make_updates(symbols: int) -> Iterator[Update]:
    """Makes the updates of the day.

    Each 1000th update is 40 s late. Each 997th update is repeated.
    """
    rng, prices, late = Random(7), [100.0 + number for number in range(symbols)], []
    for step in range(STEPS):
        for number in range(symbols):
            prices[number] = round(prices[number] * (1 + rng.gauss(0, 0.0002)), 2)
            seq_id = step % (STEPS // 2) + 1
            at = (DAY_BEGIN + step * STEP_SECONDS) * 1_000_000 + number * 19_000
            update = Update(f"S{number}", prices[number], at, seq_id)
            place = step * symbols + number
            if place % 1000 == 999:
                late.append(update)
                continue
            yield update
            if place % 997 == 0:
                yield update
        if step % 4 == 3:
            yield from late
            late.clear()
    yield from late


class MemorySource:
    """Reads the records of the day from memory, with the methods of UpdateConsumer.

    Keeps the committed offset in a file. `at_end` is true after the last record. `cpu` is the CPU time in seconds that
    was used to make the records.
    """

    def __init__(self, symbols: int, offset_file: Path) -> None:
        self._updates = enumerate(make_updates(symbols))
        self._offset_file = offset_file
        self._committed = int(offset_file.read_text()) if offset_file.exists() else 0
        self.records_read = 0
        self.at_end = False
        self.cpu = 0.0

    def open(self, *_: Any) -> None:
        """Skips the committed records."""
        begin = time.process_time()
        for _ in islice(self._updates, self._committed):
            pass
        self.cpu += time.process_time() - begin

    def read(self, timeout: float = 0.05) -> list[Record]:
        begin = time.process_time()
        records = [Record(update, offset) for offset, update in islice(self._updates, RECORDS_PER_READ)]
        self.cpu += time.process_time() - begin
        self.at_end = len(records) < RECORDS_PER_READ
        self.records_read += len(records)
        return records

    def store(self, offsets: Mapping[int, int]) -> None:
        """Commits the highest of the offsets. In this bench, all partitions share one sequence of offsets."""
        new = self._offset_file.with_suffix(".new")
        new.write_text(str(max(offsets.values())))
        new.replace(self._offset_file)

    def commit(self) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def leave(self, timeout: float = 4.0) -> None:
        pass


class StopAtEnd:
    """A stop event that is set when the source has no more records."""

    def __init__(self, source: MemorySource) -> None:
        self._source = source

    def is_set(self) -> bool:
        return self._source.at_end

    def wait(self, timeout: float | None = None) -> bool:
        return self._source.at_end


def record(symbols: int, offset_file: Path) -> None:
    """Runs the recorder in this process, from the committed offset to the last record. Prints figures as JSON."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
    import django

    django.setup()
    from django.conf import settings

    from feeds.history.market_days import make_source_days
    from feeds.recorder.bar_archive import BarArchive
    from feeds.recorder.loop import Recorder
    from feeds.recorder.past_writer import Simulation
    from feeds.recorder.recent_bars import RecentBars
    from feeds.store.connection import connect

    source = MemorySource(symbols, offset_file)
    market_days = make_source_days(settings.MARKET_TIME_ZONE, settings.MARKET_DAY_START)
    recorder = Recorder(
        source,  # type: ignore[arg-type]  # has the methods that the recorder calls
        RecentBars(connect(settings.REDIS)),
        BarArchive(),
        market_days,
        timedelta(days=30),
        Simulation(interval=10.0, seed=""),
        now=lambda: DAY_BEGIN + 90_000.0,
    )
    begin, cpu_begin = time.monotonic(), time.process_time()
    complete = recorder.run(StopAtEnd(source))  # type: ignore[arg-type]  # has the methods that the recorder calls
    figures = {
        "records": source.records_read,
        "seconds": time.monotonic() - begin,
        "cpu": time.process_time() - cpu_begin - source.cpu,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))
    sys.exit(0 if complete else 1)


def run_recorder(
    symbols: int, offset_file: Path, variables: dict[str, str], kills: Collection[float] = ()
) -> dict[str, Any]:
    """Runs recorders, one after the other, until the day is recorded. Returns the figures of the last recorder.

    `kills` holds the seconds after which each of the earlier recorders is killed.
    """
    command = [sys.executable, "-m", "tests.bench.replay", "--record", str(symbols), str(offset_file)]
    for seconds in kills:
        victim = subprocess.Popen(command, cwd=ROOT, env=os.environ | variables, stdout=subprocess.DEVNULL)
        try:
            victim.wait(seconds)
        except subprocess.TimeoutExpired:
            victim.kill()
            victim.wait()
    output = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    if output.returncode:
        raise SystemExit(output.stderr)
    figures: dict[str, Any] = json.loads(output.stdout.splitlines()[-1])
    return figures


def copy_rows(file: Path) -> dict[str, int]:
    """Copies all rows for a later comparison. Returns the number of rows of each table."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for name, query in QUERIES.items():
            database.execute(f"CREATE TABLE first_{name} AS {query}")
        return {name: database.execute(f"SELECT COUNT(*) FROM first_{name}").fetchone()[0] for name in QUERIES}


def count_differing(file: Path) -> int:
    """Returns how many rows are only in the copy of `copy_rows`, or only in the tables."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        differing = 0
        for name, query in QUERIES.items():
            first = f"SELECT * FROM first_{name}"
            for one, other in ((first, query), (query, first)):
                differing += database.execute(f"SELECT COUNT(*) FROM ({one} EXCEPT {other})").fetchone()[0]
        return differing


def count_updates(file: Path) -> dict[str, int]:
    """Returns the sum of the counts of all one-minute bars, and the sum of the counts of all one-day bars."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        return {
            name: database.execute(f"SELECT SUM(count) FROM ({query})").fetchone()[0] for name, query in QUERIES.items()
        }


def delete_rows(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for table in ("feeds_minutebar", "feeds_daybar", "feeds_tape"):
            database.execute(f"DELETE FROM {table}")


def print_header() -> None:
    columns = (
        f"{'records':>11}{'seconds':>9}{'per s':>9}{'CPU s':>7}{'per CPU-s':>11}{'RSS MB':>8}{'differing rows':>16}"
    )
    print(f"{'run':28}{columns}")


def print_result(name: str, result: dict[str, Any]) -> None:
    records, cpu = result["records"], max(result["cpu"], 0.01)
    print(
        f"{name:28}{records:11,}{result['seconds']:9.1f}{records / result['seconds']:9,.0f}{cpu:7.1f}"
        f"{records / cpu:11,.0f}{result['rss_mb']:8.0f}{result['differing']:16,}",
        flush=True,
    )


def main(symbols: int) -> int:
    rng, results = Random(3), []
    rows: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, RedisServer() as server:
        file, offset_file = Path(folder, "db.sqlite3"), Path(folder, "offset")
        variables = {
            "DATABASE_URL": f"sqlite:///{file}",
            "REDIS_ADDR": server.address,
            "LOGGER_LEVEL": "warning",
        }
        migrate = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(migrate, cwd=ROOT, env=os.environ | variables, check=True)
        print_header()
        for name in ("empty tables", "rows in place", f"empty tables, {KILLS} kills"):
            offset_file.unlink(missing_ok=True)
            kills: list[float] = []
            if "kills" in name:
                delete_rows(file)
                kills = [rng.uniform(2, 12) * symbols / 500 + 2 for _ in range(KILLS)]
            figures = run_recorder(symbols, offset_file, variables, kills)
            rows = rows or copy_rows(file)
            results.append({"run": name, "differing": count_differing(file), "kills": kills, **figures})
            print_result(name, results[-1])
        counted = count_updates(file)
    print(f"rows: {rows['minutes']:,} minutes, {rows['days']:,} days; updates counted in them: {counted}")
    report = {"machine": f"{platform.platform()}, {os.cpu_count()} cores", "rows": rows, "results": results}
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench-replay.json").write_text(json.dumps(report, indent=1))
    is_complete = counted == {"minutes": symbols * STEPS, "days": symbols * STEPS}
    return 0 if is_complete and not any(result["differing"] for result in results) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        record(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
