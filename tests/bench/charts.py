"""Measures the queries of charts: `make bench-charts`, or `python -m tests.bench.charts [FOLDER]`.

The database holds the one-minute bars of 500 symbols for a month: 21.6 million rows, stored in the recorder's order.
SQLite is measured first, then PostgreSQL if it is installed. The run takes about five minutes and 6 GB of disk space.
If FOLDER is given, the SQLite file stays in this folder for the next run. Prints a table and writes
`build/bench-charts.json`.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from stockwatch.local.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
SYMBOLS, MINUTES = 500, 30 * 1440
NEWEST = 29_841_120
"""The last recorded minute, counted from 1970. All charts end in this minute."""
CHARTS_PER_RANGE = 40
RANGES = {
    "1 h": timedelta(hours=1),
    "1 day": timedelta(days=1),
    "5 days": timedelta(days=5),
    "10 days": timedelta(days=10),
    "30 days": timedelta(days=30),
    "all": None,
}

MINUTE_VALUES = """
    100 + i * 0.001 + i % 7 * 0.01, 101 + i * 0.001, 99 + i * 0.001, 100.5 + i * 0.001 + i % 5 * 0.01, 6,
    1766480000000 + i * 6, 1766480000005 + i * 6, 1000, 59000000, (CAST({tape} AS bigint) << 32) + {first} + i
"""
INSERT_MINUTES = """
INSERT INTO feeds_minutebar
    ("open", high, low, "close", "count", first_seq, last_seq, first_us, last_us, id)
"""


def fill_sqlite(cursor: Any) -> None:
    """Inserts the rows symbol by symbol. SQLite stores rows in the order of the key."""
    values = MINUTE_VALUES.replace("%", "%%").format(tape="%s", first=NEWEST - MINUTES + 1)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {MINUTES - 1}) "
    for tape in range(1, SYMBOLS + 1):
        cursor.execute(f"{INSERT_MINUTES} {numbers} SELECT {values} FROM n", [tape])


def fill_postgres(cursor: Any) -> None:
    """Inserts the rows minute by minute. PostgreSQL stores rows in the order of insertion."""
    values = MINUTE_VALUES.format(tape="s", first=NEWEST - MINUTES + 1)
    for day in range(MINUTES // 1440):
        first, last = day * 1440, day * 1440 + 1439
        cursor.execute(
            f"{INSERT_MINUTES} SELECT {values} FROM generate_series({first}, {last}) AS i "
            f"CROSS JOIN LATERAL generate_series(1, {SYMBOLS} + i * 0) AS s"
        )
    cursor.execute("VACUUM (ANALYZE) feeds_minutebar")


def fill(connection: Any) -> None:
    """Inserts all rows if the database has no rows."""
    from feeds.models import DayBar, MinuteBar, Tape

    if MinuteBar.objects.order_by("id").exists():
        return
    Tape.objects.bulk_create([Tape(pk=number, symbol=f"S{number}") for number in range(1, SYMBOLS + 1)])
    values = {"open": 1, "high": 2, "low": 1, "close": 2, "count": 8640, "first_seq": 1, "last_seq": 2}
    at = (NEWEST - MINUTES + 1) * 60_000_000
    day = datetime.fromtimestamp(at / 1e6, UTC).date()
    DayBar.objects.bulk_create(
        [DayBar(tape_id=number, day=day, first_at=at, last_at=at, **values) for number in range(1, SYMBOLS + 1)]
    )
    with connection.cursor() as cursor:
        (fill_sqlite if connection.vendor == "sqlite" else fill_postgres)(cursor)


def measure(name: str, span: timedelta | None, rng: Random) -> dict[str, Any]:
    """Measures the time in ms to read one chart. Reads the charts of CHARTS_PER_RANGE symbols.

    `cpu` is the CPU time of this process per chart in ms. The CPU time of a database server is not included.
    """
    from watchlist.prices.history import read_candles

    now = datetime.fromtimestamp(NEWEST * 60 + 30, UTC)
    durations, points, cpu_begin = [], 0, time.process_time()
    for number in rng.sample(range(1, SYMBOLS + 1), CHARTS_PER_RANGE):
        begin = time.perf_counter()
        series = read_candles(f"S{number}", span, now, timedelta(days=31))
        durations.append((time.perf_counter() - begin) * 1000)
        points = max(points, len(series.candles))
    durations.sort()
    cpu = (time.process_time() - cpu_begin) * 1000 / CHARTS_PER_RANGE
    percentiles = {
        "p50": durations[CHARTS_PER_RANGE // 2],
        "p95": durations[-CHARTS_PER_RANGE // 20],
        "max": durations[-1],
    }
    return {"range": name, "points": points, **percentiles, "cpu": cpu}


def measure_database() -> None:
    """Measures all ranges in the database of DATABASE_URL. Fills the database first if it is empty."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    begin = time.monotonic()
    fill(connection)
    rng = Random(7)
    rows = [measure(name, span, rng) for name, span in RANGES.items()]
    print(json.dumps({"database": connection.vendor, "filled_s": time.monotonic() - begin, "rows": rows}))


def run(command: list[str], variables: dict[str, str]) -> dict[str, Any]:
    """Measures one database in a separate process. Prints and returns the results."""
    output = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    if output.returncode:
        raise SystemExit(output.stderr)
    result: dict[str, Any] = json.loads(output.stdout.splitlines()[-1])
    name = f"{result['database']}, {SYMBOLS * MINUTES:,} rows"
    print(f"{name:28}{'range':>8}{'points':>8}{'p50 ms':>8}{'p95':>8}{'max':>8}{'CPU':>8}")
    for row in result["rows"]:
        milliseconds = "".join(f"{row[key]:8.1f}" for key in ("p50", "p95", "max", "cpu"))
        print(f"{row['range']:>36}{row['points']:8}{milliseconds}", flush=True)
    return result


def main(folder: Path) -> int:
    command = [sys.executable, "-m", "tests.bench.charts", "--measure-database"]
    with RedisServer() as server:
        variables = {"REDIS_ADDR": server.address, "LOGGER_LEVEL": "error"}
        results = [run(command, variables | {"DATABASE_URL": f"sqlite:///{folder}/charts.sqlite3"})]
        if shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
            results.append(run([str(ROOT / ".ci/postgres"), *command], variables))
        else:
            print("PostgreSQL is not installed; to measure it too: apt install postgresql (Debian, Ubuntu).")
    machine = f"{platform.platform()}, {os.cpu_count()} cores"
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench-charts.json").write_text(json.dumps({"machine": machine, "results": results}, indent=1))
    return 0


if __name__ == "__main__":
    if "--measure-database" in sys.argv:
        measure_database()
    elif len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as name:
            sys.exit(main(Path(name)))
