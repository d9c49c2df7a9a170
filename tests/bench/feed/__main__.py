"""Checks that prices are exact and fast: `make bench-feed`, or `python -m tests.bench.feed [CASE …]`.

`runfeed`, processor, recorder, Redis and Kafka run as processes on this machine, with a fake exchange. If Java is
installed, Kafka has three real brokers. Afterwards the script `compare.py` compares the trades of the exchange with the
topic, Redis and the database. Prints figures and writes `build/bench-feed.json`. Exits with 1 if a requirement is not
met.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from stockwatch.local.redis_server import RedisServer
from tests.bench.feed import day, kills, rate, refused
from tests.bench.feed.stand import Stand
from tests.bench.gateway import BUILD, commit
from tests.bench.pipeline import choose_cluster
from tests.bench.serving import ROOT
from tests.support.kafka.brokers import Brokers

CASES = ("day", "rate", "kills", "refused")
COMPARE = ROOT / "tests" / "bench" / "feed" / "compare.py"


def compare(stand: Stand, *databases: Path) -> dict[str, Any]:
    """Runs `compare.py`. Returns the numbers of differences from its output."""
    files = [stand.folder / "ledger.csv", stand.folder / "topic.csv"]
    command = [sys.executable, COMPARE, *files, str(stand.server.port), *databases]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    found: dict[str, Any] = json.loads(output)
    return found


def run_case(name: str, stand: Stand, pids: list[int], options: argparse.Namespace) -> dict[str, Any]:
    if name == "day":
        figures = day.run(stand, options.trades, options.symbols, options.seconds, options.cuts)
        return figures | {"compared": compare(stand, stand.database)}
    if name == "kills":
        figures = kills.run(stand, options.kill_rate, options.symbols, options.kills, 3.0 * options.kills)
        return figures | {"compared": compare(stand, stand.database)}
    if name == "rate":
        figures = rate.run(stand, pids, options.rate, options.symbols, options.rate_seconds, options.stop_seconds)
        return figures | {"compared": compare(stand)}
    if name == "refused":
        return refused.run(stand, options.symbols, options.refused_seconds)
    raise SystemExit(f"no case {name}")


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.feed")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(CASES)}; the default is all")
    parser.add_argument("--brokers", default="", help="addresses of running brokers, host:port, separated by commas")
    parser.add_argument("--broker-pids", default="", help="their processes, which the case rate stops for a while")
    parser.add_argument("--embedded", action="store_true", help="embedded brokers even if there is Java")
    parser.add_argument("--trades", type=int, default=1_000_000, help="trades of the case day")
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=1200.0, help="how long the day takes")
    parser.add_argument("--cuts", type=int, default=144, help="how often the exchange cuts connections in that day")
    parser.add_argument("--kills", type=int, default=20, help="how often the feeder is killed, each 3 s")
    parser.add_argument("--kill-rate", type=float, default=1_000.0, help="trades per second meanwhile")
    parser.add_argument("--refused-seconds", type=float, default=600.0, help="how long connections are refused")
    parser.add_argument("--rate", type=float, default=20_000.0, help="trades per second of the case rate")
    parser.add_argument("--rate-seconds", type=float, default=60.0, help="how long it is measured")
    parser.add_argument("--stop-seconds", type=float, default=30.0, help="how long Kafka stands still then")
    parser.add_argument("--folder", type=Path, help="keep all files there")
    return parser.parse_args(arguments)


def is_met(figures: dict[str, Any]) -> bool:
    """Returns whether a case met its requirements.

    Differences of one kind are printed, but allowed: the open or close of a bar is the price of a different trade in
    the same microsecond. This happens because the feeder publishes a late trade after the other trades.
    """
    differences = figures.get("compared", {}).get("differences", {})
    return (
        all(kind.endswith("_same_time") for kind in differences)
        and not figures.get("observed", {}).get("older")
        and figures.get("met", True)
    )


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)
    results = {}
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(RedisServer())
        brokers, kind = stack.enter_context(choose_cluster(options))
        pids = [int(pid) for pid in options.broker_pids.split(",") if pid]
        if isinstance(brokers, Brokers):
            pids = [node.process.pid for node in brokers.nodes]
        addresses = brokers if isinstance(brokers, str) else brokers.addresses
        for name in options.cases or CASES:
            with closing(Stand(name, addresses, kind.startswith("embedded"), server, folder)) as stand:
                loads = os.getloadavg()[0]
                results[name] = run_case(name, stand, pids, options) | {"load": (loads, os.getloadavg()[0])}
            print(name, json.dumps(results[name], indent=1), flush=True)
    machine = {"commit": commit(), "machine": f"{platform.platform()}, {os.cpu_count()} cores", "brokers": kind}
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench-feed.json").write_text(json.dumps(machine | {"results": results}, indent=1))
    return 0 if all(map(is_met, results.values())) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
