"""Measures the fan-out of a gateway: `make bench`, or `python -m tests.bench.gateway [CASE …]`.

A `rungateway` of one process runs on one core. The load generator `wsload` and the publisher run on the other core. For
comparison, the same run measures the floor: a minimal server in C, `limit`. The gateway has no limits on connections,
because all clients have one address. All other features are on. Prints a table and writes `build/bench-gateway.json`.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import redis

from stockwatch.local.redis_server import RedisServer, free_port
from tests.bench.serving import ROOT, pinned, serve
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
BUILD = ROOT / "build"
WARM_UP_SECONDS = 3
TURNS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement.

    There are `symbols` symbols with `hertz` updates per second each. Each client subscribes to `own` random symbols, or
    to all symbols if `own` is 0. If `lists` is not 0, there are only `lists` different choices of symbols. `request` is
    the first message of a client; % stands for the symbols.

    `reading` is the share of clients that keep reading. `pages` is the number of page loads per second that the gateway
    also serves. `deflate` says that clients negotiate compression. `walks` says that prices change as in the generator.
    `floor` says whether the floor is measured. If `against` names a second case, the two cases are measured in turn,
    TURNS times each, and their delays are compared.
    """

    name: str
    clients: int
    symbols: int
    hertz: int
    own: int = 0
    path: str = "/ws"
    request: str = "%"
    reading: float = 1.0
    pages: int = 0
    floor: bool = True
    against: str = ""
    seconds: int = 10
    keys: str = "four"
    """The keys of the updates: `four`, `trades` or `padded`, see `tests.bench.publisher`."""
    lists: int = 0
    deflate: bool = False
    walks: bool = False

    @property
    def message(self) -> str:
        all_symbols = json.dumps([f"S{number}" for number in range(self.symbols)])
        return self.request if self.own else self.request.replace("%", all_symbols)

    @property
    def offered_updates(self) -> int:
        """The number of updates per second that all clients together receive if the gateway skips no update."""
        return self.clients * (self.own or self.symbols) * self.hertz


PAGE = "/ws?batch=1&heartbeat=15&meta=1"
PAGE_REQUEST = '{"action":"subscribe","payload":{"symbols":%,"options":{"max_hz":4}}}'
LONG_PAGE_REQUEST = PAGE_REQUEST.replace("4", "3")
"""The request of a page with 43 to 56 rows."""
SHARED = Case(
    *("1,000 pages, 20 lists of 50 x 10", 1000, 500, 10, 50, PAGE, LONG_PAGE_REQUEST),
    floor=False,
    lists=20,
    walks=True,
)
ONE_LIST = replace(SHARED, name="1,000 pages, 1 list of 50 x 10", lists=1)
OWN = replace(SHARED, name="1,000 pages, own 50 of 500 x 10", lists=0)
TRADES = replace(SHARED, name=f"{SHARED.name}, trades", keys="trades")
PLAIN = [SHARED, ONE_LIST, OWN, TRADES]
"""Cases that are measured only for comparison with the same case with compression."""
STREAMS = Case(
    *("1,000 x 4 x 10, streams", 1000, 4, 10, 0, "/stream?symbols=S0,S1,S2,S3", ""),
    floor=False,
    against="1,000 x 4 x 10",
)
OWN_STREAMS = Case(
    *("1,000 x own 20 of 500 x 5, streams", 1000, 500, 5, 20, "/stream?symbols=%", ""),
    floor=False,
    against="1,000 x own 20 of 500 x 5",
)
CASES = [
    Case("1,000 x 4 x 10", 1000, 4, 10),
    Case("2,000 x 4 x 10", 2000, 4, 10),
    Case("1,000 x 100 x 10", 1000, 100, 10),
    Case("1,000 x own 20 of 500 x 5", 1000, 500, 5, own=20),
    Case("1,000 pages, own 20 of 500 x 10", 1000, 500, 10, 20, PAGE, PAGE_REQUEST, floor=False),
    Case("1,000 x 4 x 10, 10 pages/s", 1000, 4, 10, pages=10, floor=False, against="1,000 x 4 x 10"),
    Case(
        "1,000 x 4 x 10, 100 stop reading", 1000, 4, 10, reading=0.9, floor=False, against="1,000 x 4 x 10", seconds=25
    ),
    Case("1,000 x 4 x 10, padded", 1000, 4, 10, floor=False, keys="padded"),
    Case("1,000 x 4 x 10, trades", 1000, 4, 10, floor=False, against="1,000 x 4 x 10, padded", keys="trades"),
    STREAMS,
    OWN_STREAMS,
    Case("1 x 1,000 x 10", 1, 1000, 10, floor=False),
    Case("5,000 idle", 5000, 1, 0, request='{"action":"ping"}', floor=False),
    Case("2,000 at once, 20 of 500", 2000, 500, 1, own=20, floor=False),
    *[replace(plain, name=f"{plain.name}, deflate", deflate=True, against=plain.name) for plain in PLAIN],
]


def build(name: str) -> Path:
    """Compiles a C program of this folder. Returns the path of the executable."""
    BUILD.mkdir(exist_ok=True)
    target = BUILD / name
    subprocess.run(["gcc", "-O2", "-o", str(target), str(HERE / f"{name}.c"), "-lz"], check=True)
    return target


def run_load(wsload: Path, port: int, case: Case, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Runs `wsload` once. Returns the figures that `wsload` prints."""
    own = ["-k", str(case.own), "-m", str(case.symbols)] if case.own else []
    own += ["-g", str(case.lists)] if case.lists else []
    command = [str(wsload), "127.0.0.1", str(port), case.path, str(case.clients), str(case.seconds), case.message, *own]
    command += ["-r", str(case.reading), "-z", str(int(case.deflate))]
    output = subprocess.run(
        pinned(1, [*command, "-p", str(process.pid), "-w", str(WARM_UP_SECONDS)]),
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(output.stdout)
    return figures


def measure_gateway(case: Case, wsload: Path, folder: Path) -> dict[str, Any]:
    with RedisServer() as server, serve(server, folder, case.symbols, core=0) as gateway:
        helpers: list[subprocess.Popen[bytes]] = []
        if case.hertz:
            publisher = [sys.executable, "-m", "tests.bench.publisher", str(server.port), str(case.symbols)]
            duration = str(case.seconds + WARM_UP_SECONDS + 60)
            walk = ["walk"] if case.walks else []
            helpers.append(start_on_client_core([*publisher, str(case.hertz), duration, *walk, case.keys]))
            with redis.Redis(port=server.port, protocol=2) as client:
                wait_until(lambda: client.dbsize() >= case.symbols, 30, "the first prices")
        if case.pages:
            helpers.append(
                start_on_client_core([sys.executable, "-m", "tests.bench.visitor", str(gateway.port), str(case.pages)])
            )
        try:
            before, resident = gateway.cpu, gateway.resident
            figures = run_load(wsload, gateway.port, case, gateway.process)
            figures |= {"peak_mb": gateway.peak, "slow": int(gateway.metric('closed_total{reason="slow"}'))}
            return figures | derive_figures(case, figures, gateway.cpu - before, resident)
        finally:
            end(*helpers)


def start_on_client_core(command: list[str]) -> subprocess.Popen[bytes]:
    """Starts a process on the core of the clients."""
    return subprocess.Popen(pinned(1, command), cwd=ROOT)


def derive_figures(case: Case, figures: dict[str, Any], cpu: float, resident: float) -> dict[str, float]:
    """Computes more figures from the figures of `wsload`.

    `cpu` is the total CPU time of the gateway in seconds. `resident` is the memory of the gateway before the load, in
    megabytes.
    """
    return {
        "offered_per_cpu_s": case.offered_updates / max(0.01, figures["server_cpu_s"] / figures["seconds"]),
        "bytes_per_update": figures["mbytes_s"] * 1e6 / max(1.0, figures["updates_s"]),
        "mb_per_client_hour": figures["mbytes_s"] * 3600 / case.clients,
        "share_of_core": figures["server_cpu_s"] / figures["seconds"],
        "kb_per_client": (figures["rss_mb"] - resident) * 1024 / case.clients,
        "accepts_s": case.clients / max(0.01, figures["connect_s"], figures["snapshots_s"]),
        "cpu_ms_per_client": cpu * 1000 / case.clients,
    }


def compare(case: Case, first: dict[str, Any], wsload: Path, folder: Path) -> dict[str, Any]:
    """Compares a case with the case in `against`: the p99 delays, and the updates per CPU second.

    Also computes the memory that a client takes if it stops reading.
    """
    (baseline,) = [replace(other, seconds=case.seconds) for other in [*CASES, *PLAIN] if other.name == case.against]
    without, with_it = [measure_gateway(baseline, wsload, folder)], [first]
    for _ in range(TURNS - 1):
        with_it.append(measure_gateway(case, wsload, folder))
        without.append(measure_gateway(baseline, wsload, folder))
    figures: dict[str, Any] = {"turns_p99_ms": [row["p99_ms"] for row in with_it]}
    figures["turns_without_p99_ms"] = [row["p99_ms"] for row in without]
    figures["p99_ratio"] = median(figures["turns_p99_ms"]) / median(figures["turns_without_p99_ms"])
    per_cpu = [median(row["updates_per_cpu_s"] for row in rows) for rows in (with_it, without)]
    figures["per_cpu_ratio"] = per_cpu[0] / max(1, per_cpu[1])
    figures["turns_cpu_ratio"] = [
        row["share_of_core"] / max(0.01, other["share_of_core"]) for row, other in zip(with_it, without, strict=True)
    ]
    if stalled := case.clients - int(case.clients * case.reading):
        more = median(row["peak_mb"] for row in with_it) - median(row["peak_mb"] for row in without)
        figures["kb_per_stalled"] = more * 1024 / stalled
    return figures


def measure_floor(case: Case, wsload: Path, limit: Path) -> dict[str, Any]:
    port = free_port()
    symbols = case.own or case.symbols
    arguments = [str(port), str(case.clients), str(symbols), str(case.hertz), str(case.seconds + WARM_UP_SECONDS + 3)]
    floor = subprocess.Popen(pinned(0, [str(limit), *arguments]))
    wait_until(lambda: in_listen_table(port), 10, "start of the floor")
    try:
        return run_load(wsload, port, case, floor)
    finally:
        end(floor)


def in_listen_table(port: int) -> bool:
    """Returns whether a process listens on a port. Opens no connection, because `limit` counts connections."""
    return f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


def end(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.terminate()
        process.wait()


def commit() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def main(names: list[str]) -> int:
    if sys.platform != "linux" or not shutil.which("gcc") or not shutil.which("taskset"):
        print("The benchmark needs Linux, gcc and taskset. Nothing was measured.")
        return 0
    wsload, limit = build("wsload"), build("limit")
    rows = []
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder:
        for case in [case for case in CASES if not names or case.name in names]:
            figures = measure_gateway(case, wsload, Path(folder))
            if case.against:
                figures |= compare(case, figures, wsload, Path(folder))
            floor = measure_floor(case, wsload, limit) if case.floor else None
            rows.append({"case": asdict(case), "gateway": figures, "floor": floor, "of_floor": ratio(figures, floor)})
            print(format_row(case, figures, ratio(figures, floor)), flush=True)
    machine = f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
    result = {"commit": commit(), "machine": machine, "rows": rows}
    (BUILD / "bench-gateway.json").write_text(json.dumps(result, indent=1))
    return 0


HEADER = (
    f"{'clients x symbols x Hz':34}{'updates/s':>11}{'per CPU-s':>12}{'offered/CPU-s':>14}{'of floor':>9}"
    f"{'p50':>7}{'p99':>7}{'core':>6}{'KB each':>8}{'accepts/s':>10}{'B/update':>9}{'MB/hour':>8}"
)


def ratio(figures: dict[str, Any], floor: dict[str, Any] | None) -> float:
    return figures["updates_per_cpu_s"] / max(1, floor["updates_per_cpu_s"]) if floor else 0.0


def format_row(case: Case, figures: dict[str, Any], of_floor: float) -> str:
    share = f"{of_floor:.0%}" if of_floor else ""
    return (
        f"{case.name:34}{figures['updates_s']:11,.0f}{figures['updates_per_cpu_s']:12,.0f}{figures['offered_per_cpu_s']:14,.0f}"
        f"{share:>9}{figures['p50_ms']:7.1f}{figures['p99_ms']:7.1f}{figures['share_of_core']:6.0%}{figures['kb_per_client']:8.1f}"
        f"{figures['accepts_s']:10,.0f}{figures['bytes_per_update']:9.1f}{figures['mb_per_client_hour']:8.1f}"
        + format_comparison(figures)
    )


def format_comparison(figures: dict[str, Any]) -> str:
    """Returns the result of a comparison as text; an empty text if there was no comparison."""
    if "p99_ratio" not in figures:
        return ""
    text = f"  p99 x{figures['p99_ratio']:.2f}, per CPU-s x{figures['per_cpu_ratio']:.2f}"
    text += f", CPU x{median(figures['turns_cpu_ratio']):.2f}"
    if "kb_per_stalled" in figures:
        text += f", {figures['kb_per_stalled']:.0f} KB per stalled client, {figures['slow']} closed with 4008"
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
