"""A day recorded again and again: `make bench-replay`, or `python -m tests.bench.replay [SYMBOLS]`.

A UTC day of 500 symbols, one update each per 10 s, some of them late and some twice, from a foreign generator that
starts at 1 again at noon: 4.3 million records. The real recorder, with a real Redis and a database file, reads them
from memory instead of Kafka: at first; again with all rows there; and from nothing, killed (SIGKILL) at random moments,
where the figures are those of the last process. Each time every row must be what it was, and every update counted once.
Prints a table and writes `build/bench-replay.json`. Ends with 1 where a row differs.
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
DAY = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp())
PARTITIONS = 4
AT_ONCE = 501
"""Records in one reading, as the Kafka client gives them."""
KILLS = 5
ROWS = "tape.symbol, bar.id & 4294967295, open, high, low, close, count, first_us, last_us, first_seq, last_seq, runs"
DAYS = "tape.symbol, bar.day, open, high, low, close, count, first_at, last_at, first_seq, last_seq, runs"
TABLES = {
    "minutes": f"SELECT {ROWS} FROM feeds_minutebar AS bar JOIN feeds_tape AS tape ON tape.id = bar.id >> 32",
    "days": f"SELECT {DAYS} FROM feeds_daybar AS bar JOIN feeds_tape AS tape ON tape.id = bar.tape_id",
}


class Record:
    """One record of the topic, as the Kafka client hands it over."""

    __slots__ = ("_offset", "_update")

    def __init__(self, update: Update, offset: int) -> None:
        self._update = update
        self._offset = offset

    def key(self) -> bytes:
        return self._update.symbol.encode()

    def value(self) -> bytes:
        return encode(self._update)

    def partition(self) -> int:
        return self._offset % PARTITIONS

    def offset(self) -> int:
        return self._offset


def updates(symbols: int) -> Iterator[Update]:
    """The day, round after round; each thousandth update comes 40 s late, each 997th twice."""
    chance, prices, late = Random(7), [100.0 + number for number in range(symbols)], []
    for step in range(8640):
        for number in range(symbols):
            prices[number] = round(prices[number] * (1 + chance.gauss(0, 0.0002)), 2)
            seq = step + 1 if step < 4320 else step - 4319
            at = (DAY + step * 10) * 1_000_000 + number * 19_000
            update = Update(f"S{number}", prices[number], at, seq)
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


class Reel:
    """A source that reads the day from memory; what is committed is in a file. Ends when there is no more."""

    def __init__(self, symbols: int, offsets: Path) -> None:
        self._updates = enumerate(updates(symbols))
        self._offsets = offsets
        self._begin = int(offsets.read_text()) if offsets.exists() else 0
        self.at = 0
        self.over = False

    def open(self, *_: Any) -> None:
        """Skips what is committed."""
        self.at = sum(1 for _ in islice(self._updates, self._begin))

    def read(self, timeout: float = 0.05) -> list[Record]:
        records = [Record(update, offset) for offset, update in islice(self._updates, AT_ONCE)]
        self.over = len(records) < AT_ONCE
        self.at += len(records)
        return records

    def store(self, offsets: Mapping[int, int]) -> None:
        """All partitions stand at the same place here: one number serves."""
        new = self._offsets.with_suffix(".new")
        new.write_text(str(max(offsets.values())))
        new.replace(self._offsets)

    def commit(self) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def leave(self, timeout: float = 4.0) -> None:
        pass


class Over:
    """The stop: when the reel is."""

    def __init__(self, reel: Reel) -> None:
        self._reel = reel

    def is_set(self) -> bool:
        return self._reel.over

    def wait(self, timeout: float | None = None) -> bool:
        return self._reel.over


def record(symbols: int, offsets: Path) -> None:
    """One reading, as a process of its own; the last line says what it took."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
    import django

    django.setup()
    from django.conf import settings

    from feeds.recorder.bar_archive import BarArchive
    from feeds.recorder.loop import Recorder
    from feeds.recorder.market_days import MarketDays
    from feeds.recorder.recent_bars import RecentBars
    from feeds.store.connection import connect

    reel = Reel(symbols, offsets)
    market_days = MarketDays(settings.MARKET_TIME_ZONE, settings.MARKET_DAY_START)
    rings = RecentBars(connect(settings.REDIS))
    made = Recorder(reel, rings, BarArchive(), market_days, timedelta(days=30), now=lambda: DAY + 90_000.0)  # type: ignore[arg-type]
    began, spent = time.monotonic(), time.process_time()
    done = made.run(Over(reel))  # type: ignore[arg-type]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "records": reel.at,
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - spent,
        "rss_mb": usage.ru_maxrss / 1024,
    }
    print(json.dumps(figures))
    sys.exit(0 if done else 1)


def run_once(symbols: int, offsets: Path, variables: dict[str, str], kills: Collection[float] = ()) -> dict[str, Any]:
    """Records the rest of the day; is killed first after each of these seconds."""
    command = [sys.executable, "-m", "tests.bench.replay", "--record", str(symbols), str(offsets)]
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


def keep_rows(file: Path) -> dict[str, int]:
    """Copies what is recorded, to hold later rows against; returns how many rows there are."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for name, rows in TABLES.items():
            database.execute(f"CREATE TABLE first_{name} AS {rows}")
        return {name: database.execute(f"SELECT COUNT(*) FROM first_{name}").fetchone()[0] for name in TABLES}


def count_differing(file: Path) -> int:
    """Rows that are recorded now and were not so, and the reverse."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        differing = 0
        for name, now in TABLES.items():
            first = f"SELECT * FROM first_{name}"
            for one, other in ((first, now), (now, first)):
                differing += database.execute(f"SELECT COUNT(*) FROM ({one} EXCEPT {other})").fetchone()[0]
        return differing


def count_updates(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        return {
            name: database.execute(f"SELECT SUM(count) FROM ({rows})").fetchone()[0] for name, rows in TABLES.items()
        }


def delete_rows(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for table in ("feeds_minutebar", "feeds_daybar", "feeds_tape"):
            database.execute(f"DELETE FROM {table}")


def main(symbols: int) -> int:
    chance, results = Random(3), []
    with tempfile.TemporaryDirectory() as name, RedisServer() as server:
        file, offsets = Path(name, "db.sqlite3"), Path(name, "offsets")
        variables = {
            "DATABASE_URL": f"sqlite:///{file}",
            "REDIS_ADDR": server.address,
            "LOGGER_LEVEL": "warning",
        }
        migrate = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(migrate, cwd=ROOT, env=os.environ | variables, check=True)
        print(f"{'reading':28}{'records':>11}{'seconds':>9}{'per s':>9}{'CPU s':>7}{'RSS MB':>8}{'differing rows':>16}")
        for title in ("first", "again, rows in place", f"from nothing, killed {KILLS} x"):
            offsets.unlink(missing_ok=True)
            kills: list[float] = []
            if title.startswith("from nothing"):
                delete_rows(file)
                kills = [chance.uniform(2, 12) * symbols / 500 + 2 for _ in range(KILLS)]
            figures = run_once(symbols, offsets, variables, kills)
            if title == "first":
                rows = keep_rows(file)
            differing = count_differing(file)
            results.append({"reading": title, "differing": differing, "kills": kills, **figures})
            print(
                f"{title:28}{figures['records']:11,}{figures['seconds']:9.1f}"
                f"{figures['records'] / figures['seconds']:9,.0f}{figures['cpu']:7.1f}{figures['rss_mb']:8.0f}"
                f"{differing:16,}",
                flush=True,
            )
        counted = count_updates(file)
    wrong = counted != {"minutes": symbols * 8640, "days": symbols * 8640}
    print(f"rows: {rows['minutes']:,} minutes, {rows['days']:,} days; updates counted in them: {counted}")
    report = {"machine": f"{platform.platform()}, {os.cpu_count()} cores", "rows": rows, "results": results}
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench-replay.json").write_text(json.dumps(report, indent=1))
    return 1 if wrong or any(result["differing"] for result in results) else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        record(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
