"""Compares the firings of killed alert engines with a plain computation: `make bench-alert-ledger`.

An hour of random prices of 50 symbols is written to embedded Kafka brokers. All clocks run five times as fast, so the
hour takes 12 minutes. Real `runalerts` processes evaluate 100,000 random alerts. They are killed with SIGKILL 30 times.
A second engine joins and leaves. People create, pause, resume and delete alerts meanwhile. Afterwards `brute_force`
computes the firings from the records and the alerts alone.

The database is that of DATABASE_URL, otherwise an SQLite file. Prints a table, writes `build/bench-alert-ledger.json`,
and ends with the status 1 if a firing is missed, twice or wrong.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from feeds.kafka.embedded import EmbeddedCluster
from stockwatch.local.redis_server import RedisServer
from tests.bench.alert_ledger.comparison import FAULTS, compare, read_expected
from tests.bench.alert_ledger.walk import CALENDARS

FOLDER = Path(__file__).parent
BUILD = FOLDER.parents[2] / "build"


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares the firings of alert engines with a plain computation.")
    parser.add_argument("--alerts", type=int, default=100_000, help="alerts that exist before the walk begins")
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long the walk is")
    parser.add_argument("--speed", type=float, default=5.0, help="how many times as fast all clocks run")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--changes", type=float, default=10.0, help="changes by people per second of the real clock")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--windows", action="store_true", help="also changes within a window; only with --speed 1")
    parser.add_argument(
        "--kinds", choices=["levels", "no_price"], default="levels", help="only alerts on missing prices, if no_price"
    )
    parser.add_argument("--folder", type=Path, help="an empty folder that keeps the files of the run")
    return parser.parse_args()


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Plays the walk and compares the firings. Returns the figures."""
    with EmbeddedCluster() as cluster, RedisServer() as redis:
        start, zone = CALENDARS["simulated"]
        os.environ |= {
            "DATABASE_URL": os.environ.get("DATABASE_URL") or f"sqlite:///{folder / 'db.sqlite3'}",
            "DJANGO_SETTINGS_MODULE": "stockwatch.settings",
            "KAFKA_BROKERS": cluster.addresses,
            "KAFKA_SESSION_TIMEOUT": "3s",
            "REDIS_ADDR": redis.address,
            "MARKET_DAY_START": start,
            "MARKET_TIME_ZONE": zone,
            "LOGGER_LEVEL": "warning",
        }
        import django

        django.setup()
        from tests.bench.alert_ledger.run import LedgerRun, read_firings

        ledger = LedgerRun(options, folder)
        ledger.prepare()
        figures = ledger.play()
        found = read_firings()
    (folder / "found.json").write_text(json.dumps(found))
    # The script runs alone: -I keeps it from importing anything of this project.
    subprocess.run([sys.executable, "-I", str(FOLDER / "brute_force.py"), str(folder)], check=True)
    wrong = json.loads((folder / "armed_wrongly.json").read_text())
    figures |= {"alerts by kind": ledger.book.kinds, "armed on a wrong side": len(wrong)}
    return figures | compare(read_expected(folder / "expected.jsonl"), found, ledger.book.kind)


def report(figures: dict[str, Any]) -> None:
    for name, value in figures.items():
        if name != "examples":
            print(f"{name:56} {value}", flush=True)
    for name, examples in figures["examples"].items():
        for example in examples:
            print(f"{name}: {example}", flush=True)


def main() -> int:
    options = read_options()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        figures = run(options, options.folder or Path(temporary))
    report(figures)
    results = options.folder or BUILD
    results.mkdir(exist_ok=True)
    (results / "bench-alert-ledger.json").write_text(json.dumps(figures, indent=1))
    return int(any(figures[name] for name in FAULTS))


if __name__ == "__main__":
    sys.exit(main())
