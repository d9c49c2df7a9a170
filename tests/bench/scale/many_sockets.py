"""Holds 100,000 sockets on one machine: `make bench-sockets`, or `python -m tests.bench.scale.many_sockets [SOCKETS]`.

Each socket has one of 500 symbols. Each symbol has one update per second. The updates of all symbols are spread over
the second. The gateway has several processes, because the system limits the open files of a process. Gateway, clients,
Redis and publisher share the cores. Prints JSON: connected, refused and closed sockets, delays, and the resident memory
of all gateway processes.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import ceil
from pathlib import Path
from typing import Any

from stockwatch.local.redis_server import RedisServer, free_port
from tests.bench.gateway import build
from tests.bench.serving import ROOT, Served, resident_mb
from tests.support.waiting import wait_until

SYMBOLS = 500
SECONDS = 30
WARM_UP_SECONDS = 60
"""How many seconds a client process waits after its last connection, so that the other client processes can connect."""
ROUND_MS = 2
"""The time between two rounds of reading of a client process. Clients share the cores with the gateway."""
FREE_FILES = 2_000
"""How many files each process may still open, because the kernel does not distribute connections evenly."""
REQUEST = '{"action":"subscribe","payload":{"symbols":%}}'


def count_processes(sockets: int) -> int:
    """Returns how many processes can hold the sockets together, with the limit of open files per process.

    The gateway and the clients have this number of processes each.
    """
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ceil(sockets / (limit - FREE_FILES))


def find_workers(parent: int, processes: int) -> list[int]:
    """Returns the pids of the gateway processes that hold sockets. If there is one process, this is `parent`."""
    if processes == 1:
        return [parent]
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if b"--worker" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")]


@contextmanager
def run_gateway(redis_address: str, folder: Path, processes: int) -> Iterator[tuple[int, list[int]]]:
    """Runs a gateway without limits on connections. Yields its port and the pids of its processes."""
    port = free_port()
    environment = os.environ | {
        "REDIS_ADDR": redis_address,
        "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
        "GATEWAY_VALID_TICKERS": ",".join(f"S{number}" for number in range(SYMBOLS)),
        "GATEWAY_MAX_CONNECTIONS": "0",
        "GATEWAY_MAX_PER_ADDRESS": "0",
        "GATEWAY_MAX_HTTP_PER_ADDRESS": "0",
        "LOGGER_LEVEL": "warning",
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    command = [sys.executable, "manage.py", "rungateway", "--host", "127.0.0.1", "--port", str(port)]
    gateway = subprocess.Popen([*command, "--processes", str(processes)], cwd=ROOT, env=environment)
    try:
        wait_until(lambda: len(find_workers(gateway.pid, processes)) == processes, 60, "start of all processes")
        wait_until(lambda: Served(port, gateway).is_alive, 60, "start of the gateway")
        yield port, find_workers(gateway.pid, processes)
    finally:
        gateway.terminate()
        gateway.wait(60)


def run_clients(port: int, pids: list[int], sockets: int, processes: int) -> list[dict[str, Any]]:
    """Connects all sockets from several processes. Returns the figures of each process."""
    wsload = str(build("wsload"))
    each = ceil(sockets / processes)
    command = [wsload, "127.0.0.1", str(port), "/ws", str(each), str(SECONDS), REQUEST]
    command += ["-k", "1", "-m", str(SYMBOLS), "-w", str(WARM_UP_SECONDS), "-b", str(ROUND_MS)]
    command += ["-p", ",".join(map(str, pids))]
    clients = [
        subprocess.Popen([*command, "-a", str(number * each)], stdout=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    return [json.loads(client.communicate()[0]) for client in clients]


def count_reasons(port: int) -> dict[str, float]:
    """Returns why connections were refused and closed: the counters of all processes, by name and reason."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = re.findall(r"^stockwatch_((?:refused|closed)_total{.*}) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found if float(value)}


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the figures of all client processes together. The delays are the delays of the slowest process."""
    sums = ("conns", "alive", "refused", "closed", "silent", "updates_s", "own_cpu_s")
    worst = ("connect_s", "p50_ms", "p99_ms", "max_ms", "rss_mb", "server_cpu_s")
    return {name: sum(row[name] for row in rows) for name in sums} | {
        name: max(row[name] for row in rows) for name in worst
    }


def main(sockets: int) -> int:
    processes = count_processes(sockets)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(RedisServer())
        port, pids = stack.enter_context(run_gateway(server.address, folder, processes))
        publisher = [
            sys.executable,
            "-m",
            "tests.bench.publisher",
            str(server.port),
            str(SYMBOLS),
            "1",
            "3600",
            "spread",
        ]
        published = subprocess.Popen(publisher, cwd=ROOT)
        stack.callback(published.wait)
        stack.callback(published.kill)
        before = sum(map(resident_mb, pids))
        figures = summarize(run_clients(port, pids, sockets, processes))
        figures |= count_reasons(port)
    figures |= {"processes": processes, "kb_per_socket": (figures["rss_mb"] - before) * 1024 / sockets}
    print(json.dumps(figures, indent=1))
    return 0 if figures["alive"] == figures["conns"] and not figures["silent"] else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
