"""Questions for charts in figures: `make bench-charts`, or `python -m tests.bench.charts [FOLDER]`.

A month of minutes of 500 symbols, 21.6 million rows, lying as the recorder leaves them; first in SQLite, then in
PostgreSQL, where it is installed. Takes some five minutes and 6 GB; a FOLDER keeps SQLite's file for the next time.
Prints a table and writes `build/bench-charts.json`.
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
"""The last minute there is, since 1970; the clock of all questions stands in it."""
ASKED = 40
RANGES = {
    "1 h": timedelta(hours=1),
    "1 day": timedelta(days=1),
    "5 days": timedelta(days=5),
    "10 days": timedelta(days=10),
    "30 days": timedelta(days=30),
    "all": None,
}

FIGURES = """
    100 + i * 0.001 + i % 7 * 0.01, 101 + i * 0.001, 99 + i * 0.001, 100.5 + i * 0.001 + i % 5 * 0.01, 6,
    1766480000000 + i * 6, 1766480000005 + i * 6, 1000, 59000000, (CAST({tape} AS bigint) << 32) + {first} + i
"""
INSERT = """
INSERT INTO feeds_minutebar
    ("open", high, low, "close", "count", first_seq, last_seq, first_us, last_us, id)
"""


def fill_sqlite(cursor: Any) -> None:
    """Symbol after symbol: SQLite keeps the order of the key, in whatever order rows come."""
    figures = FIGURES.replace("%", "%%").format(tape="%s", first=NEWEST - MINUTES + 1)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {MINUTES - 1}) "
    for tape in range(1, SYMBOLS + 1):
        cursor.execute(f"{INSERT} {numbers} SELECT {figures} FROM n", [tape])


def fill_postgres(cursor: Any) -> None:
    """Minute after minute: PostgreSQL keeps rows where they came."""
    figures = FIGURES.format(tape="s", first=NEWEST - MINUTES + 1)
    for day in range(MINUTES // 1440):
        first, last = day * 1440, day * 1440 + 1439
        cursor.execute(
            f"{INSERT} SELECT {figures} FROM generate_series({first}, {last}) AS i "
            f"CROSS JOIN LATERAL generate_series(1, {SYMBOLS} + i * 0) AS s"
        )
    cursor.execute("VACUUM (ANALYZE) feeds_minutebar")


def fill(connection: Any) -> None:
    from feeds.models import DayBar, MinuteBar, Tape

    if MinuteBar.objects.order_by("id").exists():
        return
    Tape.objects.bulk_create([Tape(pk=number, symbol=f"S{number}") for number in range(1, SYMBOLS + 1)])
    figures = {"open": 1, "high": 2, "low": 1, "close": 2, "count": 8640, "first_seq": 1, "last_seq": 2}
    at = (NEWEST - MINUTES + 1) * 60_000_000
    day = datetime.fromtimestamp(at / 1e6, UTC).date()
    DayBar.objects.bulk_create(
        [DayBar(tape_id=number, day=day, first_at=at, last_at=at, **figures) for number in range(1, SYMBOLS + 1)]
    )
    with connection.cursor() as cursor:
        (fill_sqlite if connection.vendor == "sqlite" else fill_postgres)(cursor)


def measure(name: str, span: timedelta | None, chance: Random) -> dict[str, Any]:
    """Milliseconds of one question each for so many symbols, none asked for twice; `cpu` is this process's part."""
    from watchlist.prices.history import read_chart

    now = datetime.fromtimestamp(NEWEST * 60 + 30, UTC)
    taken, points, spent = [], 0, time.process_time()
    for number in chance.sample(range(1, SYMBOLS + 1), ASKED):
        began = time.perf_counter()
        chart = read_chart(f"S{number}", span, now, timedelta(days=31))
        taken.append((time.perf_counter() - began) * 1000)
        points = max(points, len(chart.candles))
    taken.sort()
    cpu = (time.process_time() - spent) * 1000 / ASKED
    places = {"p50": taken[ASKED // 2], "p95": taken[-ASKED // 20], "most": taken[-1]}
    return {"range": name, "points": points, **places, "cpu": cpu}


def ask() -> None:
    """One database, named by the environment: fills it where it is empty, and asks."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    began = time.monotonic()
    fill(connection)
    chance = Random(7)
    rows = [measure(name, span, chance) for name, span in RANGES.items()]
    print(json.dumps({"database": connection.vendor, "filled_s": time.monotonic() - began, "rows": rows}))


def run(command: list[str], variables: dict[str, str]) -> dict[str, Any]:
    output = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    if output.returncode:
        raise SystemExit(output.stderr)
    result: dict[str, Any] = json.loads(output.stdout.splitlines()[-1])
    name = f"{result['database']}, {SYMBOLS * MINUTES:,} rows"
    print(f"{name:28}{'range':>8}{'points':>8}{'p50 ms':>8}{'p95':>8}{'most':>8}{'CPU':>8}")
    for row in result["rows"]:
        figures = "".join(f"{row[key]:8.1f}" for key in ("p50", "p95", "most", "cpu"))
        print(f"{row['range']:>36}{row['points']:8}{figures}", flush=True)
    return result


def main(folder: Path) -> int:
    ours = [sys.executable, "-m", "tests.bench.charts", "--ask"]
    with RedisServer() as server:
        place = {"REDIS_ADDR": server.address, "LOGGER_LEVEL": "error"}
        results = [run(ours, place | {"DATABASE_URL": f"sqlite:///{folder}/charts.sqlite3"})]
        if shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
            results.append(run([str(ROOT / ".ci/postgres"), *ours], place))
        else:
            print("PostgreSQL is not here: install it (Debian and Ubuntu: apt install postgresql) to measure it too.")
    machine = f"{platform.platform()}, {os.cpu_count()} cores"
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench-charts.json").write_text(json.dumps({"machine": machine, "results": results}, indent=1))
    return 0


if __name__ == "__main__":
    if "--ask" in sys.argv:
        ask()
    elif len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as name:
            sys.exit(main(Path(name)))
