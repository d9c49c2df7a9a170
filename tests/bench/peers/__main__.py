"""Compares the gateway with other servers: `make bench-peers`, or `python -m tests.bench.peers [OPTION …] [CASE …]`.

Each server runs alone on one core. The load generator `wsload`, the publisher and Redis run on the other core. The same
run measures the floor: a minimal server in C, `limit`. This program installs nothing. A server that is not installed is
left out, and a note below the tables says so. An option such as `--picows` is the path of a Python interpreter that has
the package. The option `--centrifugo` is the path of the executable. Prints Markdown, and writes `build/bench-peers.md`
and `build/bench-peers.json`.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, replace
from typing import Any

from tests.bench import gateway
from tests.bench.peers.cases import CASES, Case
from tests.bench.peers.measure import CaseFailed, Figures, derive, measure
from tests.bench.peers.peer import PEERS, Peer
from tests.bench.peers.table import FLOOR, write_tables

BUILD = gateway.BUILD


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(f"'{case.name}'" for case in CASES))
    parser.add_argument("--turns", type=int, default=3, help="how often each server is measured; medians are shown")
    parser.add_argument("--clients", type=int, default=10**6, help="at most so many clients, for a quick look")
    parser.add_argument("--seconds", type=int, help="seconds of each measurement, instead of those of the case")
    parser.add_argument("--only", default="", help="some of the servers, between commas: " + names(PEERS))
    for peer in PEERS:
        parser.add_argument(f"--{peer.option}", metavar="PATH", help=f"the program that runs: {peer.title}")
    parsed = parser.parse_args(arguments)
    if unknown := set(parsed.cases) - {case.name for case in CASES}:
        parser.error(f"unknown cases: {', '.join(sorted(unknown))}")
    return parsed


def names(peers: tuple[Peer, ...]) -> str:
    return ",".join(peer.option for peer in peers)


def find_peers(arguments: argparse.Namespace) -> tuple[dict[Peer, str], list[Peer]]:
    """Returns two values: a dict from each installed server to its program, and the servers that are not installed."""
    wanted = [peer for peer in PEERS if not arguments.only or peer.option in arguments.only.split(",")]
    programs = {peer: peer.find(getattr(arguments, peer.option)) for peer in wanted}
    found = {peer: program for peer, program in programs.items() if program}
    return found, [peer for peer in wanted if peer not in found]


def measure_floor(case: Case, wsload: Any, limit: Any) -> Figures:
    prepared = gateway.Case(case.name, case.clients, case.symbols, case.hertz, seconds=case.seconds)
    figures = gateway.measure_floor(prepared, wsload, limit)
    return figures | derive(case, figures, 0.0)


def measure_all(
    cases: list[Case], found: dict[Peer, str], turns: int, failures: list[str]
) -> dict[str, dict[str, list[Figures]]]:
    """Measures the servers in turn, so that other load on the machine affects all servers.

    Adds a text to `failures` for each measurement that a server did not finish.
    """
    wsload, limit = gateway.build("wsload"), gateway.build("limit")
    results: dict[str, dict[str, list[Figures]]] = {}
    for case in cases:
        rows = results.setdefault(case.name, {})
        for turn in range(turns):
            for peer, program in found.items():
                print(f"{case.name}: {peer.title}, turn {turn + 1} of {turns}", file=sys.stderr, flush=True)
                try:
                    figures = measure(peer, program, case, wsload)
                    rows.setdefault(peer.title, []).append(figures)
                except CaseFailed as error:
                    failures.append(f"{peer.title} did not finish {case.name}: {error}.")
            if case.hertz:
                rows.setdefault(FLOOR, []).append(measure_floor(case, wsload, limit))
    return results


def make_notes(found: dict[Peer, str], missing: list[Peer], turns: int) -> list[str]:
    versions = ", ".join(f"{peer.title} {peer.read_version(program)}" for peer, program in found.items())
    notes = [f"Versions: {versions}."]
    if missing:
        options = ", ".join(f"{peer.title} (`--{peer.option} PATH`)" for peer in missing)
        notes.append(f"Not found, so not measured: {options}.")
    load = os.getloadavg()[0]
    notes.append(f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, load {load:.1f} at the end.")
    return [*notes, f"Medians of {turns}. *Saturated*: updates are missing, or clients were lost."]


def main(arguments: list[str]) -> int:
    parsed = parse_arguments(arguments)
    if sys.platform != "linux" or not shutil.which("gcc") or not shutil.which("taskset"):
        print("The benchmark needs Linux, gcc and taskset. Nothing was measured.")
        return 0
    cases = [
        replace(case, clients=min(case.clients, parsed.clients), seconds=parsed.seconds or case.seconds)
        for case in CASES
        if not parsed.cases or case.name in parsed.cases
    ]
    found, missing = find_peers(parsed)
    failures: list[str] = []
    results = measure_all(cases, found, parsed.turns, failures)
    notes = [*failures, *make_notes(found, missing, parsed.turns)]
    if any(case not in CASES for case in cases):
        notes.append("A quick look: fewer clients or other times than the cases name.")
    text = write_tables(results, notes)
    written = {"cases": [asdict(case) for case in cases], "notes": notes, "results": results}
    (BUILD / "bench-peers.json").write_text(json.dumps(written, indent=1))
    (BUILD / "bench-peers.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
