"""Measures one server in one case."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from stockwatch.local.redis_server import RedisServer, free_port
from tests.bench.gateway import end, in_listen_table
from tests.bench.peers.cases import Case
from tests.bench.peers.peer import Peer, Stand
from tests.bench.serving import ROOT, Served, pinned
from tests.support.waiting import wait_until

SERVER_CORE, CLIENT_CORE = 0, 1
WARM_UP_SECONDS = 3
ACCEPT_WARM_UP_SECONDS = 1
LONGEST_SECONDS = 240
"""The maximum time of a server for a case. In this time, the load generator waits up to 120 s for all connections."""
Figures = dict[str, Any]


class CaseFailed(Exception):
    """The server ended during a case, or took too long."""


def measure(peer: Peer, program: str, case: Case, wsload: Path) -> Figures:
    """Returns the figures of `wsload` and the figures of `derive`. Raises CaseFailed."""
    with RedisServer() as server, tempfile.TemporaryDirectory() as folder:
        stand = Stand(program, free_port(), server.port, Path(folder), case)
        with serve(peer, stand) as served:
            publisher = start_publisher(peer, stand)
            try:
                if not case.hertz:  # Some servers prepare themselves at their first client.
                    run_load(wsload, stand.port, peer, replace(case, clients=1, seconds=1), served.process.pid)
                resident = served.resident
                figures = run_load(wsload, stand.port, peer, case, served.process.pid)
                return figures | derive(case, figures, resident)
            finally:
                end(*publisher)


@contextmanager
def serve(peer: Peer, stand: Stand) -> Iterator[Served]:
    """Runs the server on its core."""
    environment = os.environ | peer.make_environment(stand)
    with (stand.folder / "server.log").open("wb") as log:
        command = pinned(SERVER_CORE, peer.make_command(stand))
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            wait_until(lambda: has_started(process, stand), 120, f"start of {peer.title}")
            yield Served(stand.port, process)
        finally:
            process.kill()
            process.wait()


def has_started(process: "subprocess.Popen[bytes]", stand: Stand) -> bool:
    if process.poll() is not None:
        raise CaseFailed(f"the server ended: {(stand.folder / 'server.log').read_text()[-2000:]}")
    return in_listen_table(stand.port)


def start_publisher(peer: Peer, stand: Stand) -> list["subprocess.Popen[bytes]"]:
    """Starts the publisher of the server. If the case has no updates per second, publishes one update of each symbol.

    A server that reads from Redis subscribes before it listens. Therefore it has received this update.
    """
    case = stand.case
    if not case.hertz:
        subprocess.run(peer.make_publisher(stand, 1), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return []
    command = pinned(CLIENT_CORE, peer.make_publisher(stand, case.seconds + WARM_UP_SECONDS + 120))
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    peer.wait_published(stand, process)
    return [process]


def run_load(wsload: Path, port: int, peer: Peer, case: Case, pid: int) -> Figures:
    warm_up = WARM_UP_SECONDS if case.hertz else ACCEPT_WARM_UP_SECONDS
    command = [str(wsload), "127.0.0.1", str(port), peer.path, str(case.clients), str(case.seconds)]
    command += [peer.make_request(case), "-p", str(pid), "-w", str(warm_up)]
    if peer.sends_newest:
        command += ["-k", str(case.symbols), "-m", str(case.symbols)]
    try:
        load = subprocess.run(
            pinned(CLIENT_CORE, command), capture_output=True, text=True, check=True, timeout=LONGEST_SECONDS
        )
    except subprocess.SubprocessError as error:
        raise CaseFailed(f"the load generator: {type(error).__name__}") from error
    figures: Figures = json.loads(load.stdout)
    return figures


def derive(case: Case, figures: Figures, resident: float) -> Figures:
    """Computes more figures from the figures of `wsload`.

    `resident` is the memory of the server before the first client, in megabytes.
    """
    updates = figures["updates_s"]
    return {
        "core": figures["server_cpu_s"] / figures["seconds"],
        "bytes_per_update": figures["mbytes_s"] * 1e6 / updates if updates else None,
        "saturated": updates < 0.95 * case.offered_updates or figures["alive"] < case.clients,
        "accepts_s": case.clients / max(0.01, figures["connect_s"], figures["snapshots_s"]),
        "us_per_accept": figures["setup_cpu_s"] * 1e6 / case.clients,
        "bytes_per_socket": (figures["rss_mb"] - resident) * 2**20 / case.clients,
    }
