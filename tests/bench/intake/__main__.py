"""Compares ways to bring updates to four gateway processes of a machine: `python -m tests.bench.intake [SECONDS]`.

- `own`: each process subscribes to Redis (`GATEWAY_RELAY=false`).
- `replica`: each process subscribes to a replica of Redis on its machine.
- `relay`: the relay subscribes to Redis, and passes batches on to the processes.

The gateway is the real `rungateway`. Each process has one client that has all symbols, and that discards what it reads.
The publisher sends SET and PUBLISH, as the processor does. The ways take turns. Prints the CPU time per update of
Redis, of the replica or relay, and of the four processes together, and how many messages Redis delivers per update. CPU
time is compared, so other programs may run.
"""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import redis

from stockwatch.local.redis_server import RedisServer
from tests.bench.serving import ROOT, Served, serve
from tests.support.gateway.process import find_serving_process
from tests.support.gateway.raw_socket import upgrade
from tests.support.waiting import wait_until

PROCESSES = 4
TURNS = 3
CASES = ((1000, 10), (100, 10))
"""Pairs of the number of symbols and the updates per second of each symbol."""
WAYS = ("own", "replica", "relay")


def measure(way: str, symbols: int, hertz: int, seconds: float) -> dict[str, float]:
    """Returns microseconds of CPU per update: of Redis, of what is between, and of all gateway processes.

    `deliveries` is the number of messages that the primary Redis sends to subscribers per update.
    """
    with RedisServer() as primary, RedisServer() as replica, tempfile.TemporaryDirectory() as folder:
        if way == "replica":
            follow(replica, primary)
        server = replica if way == "replica" else primary
        variables = {"GATEWAY_PROCESSES": str(PROCESSES), "GATEWAY_RELAY": str(way == "relay").lower()}
        variables |= {"GATEWAY_RATE_PER_SECOND": "1000", "GATEWAY_RATE_BURST": "1000", "GATEWAY_MAX_SYMBOLS": "1024"}
        with serve(server, Path(folder), symbols, **variables) as served, clients(served, symbols):
            workers, relays = find_children(served, "--worker"), find_children(served, "stockwatch.serving.relay")
            between = {"own": [], "replica": [replica.process.pid], "relay": relays}[way]
            parts = {"redis": [primary.process.pid], "between": between, "gateways": workers}
            wait_until(lambda: all_receive(served, primary, symbols), 120, "all updates at all processes")
            before, accepted = {part: cpu(pids) for part, pids in parts.items()}, served.metric("updates_in_total")
            publish(primary, symbols, hertz, seconds)
            count = int(hertz * seconds) * symbols
            wait_until(lambda: served.metric("updates_in_total") >= accepted + PROCESSES * count, 60, "the last update")
            figures = {part: (cpu(pids) - before[part]) * 1e6 / count for part, pids in parts.items()}
            return figures | {"deliveries": count_deliveries(primary)}


def follow(replica: RedisServer, primary: RedisServer) -> None:
    """Makes a replica that takes the writes of rate limits."""
    with redis.Redis(port=replica.port, protocol=2) as client:
        client.config_set("replica-read-only", "no")
        client.replicaof("127.0.0.1", str(primary.port))
        wait_until(lambda: client.info("replication").get("master_link_status") == "up", 120, "the replica")


def publish(server: RedisServer, symbols: int, hertz: int, seconds: float) -> None:
    command = [sys.executable, "-m", "tests.bench.publisher", str(server.port), str(symbols), str(hertz), str(seconds)]
    subprocess.run(command, cwd=ROOT, check=True)


def all_receive(served: Served, server: RedisServer, symbols: int) -> bool:
    """Publishes one update of each symbol. Returns whether each process has received all of them."""
    # A process writes its metrics once per second, so a second is waited for before each reading.
    time.sleep(1.5)
    before = served.metric("updates_in_total")
    publish(server, symbols, 1, 1)
    time.sleep(1.5)
    return served.metric("updates_in_total") == before + PROCESSES * symbols


def count_deliveries(server: RedisServer) -> int:
    with redis.Redis(port=server.port, protocol=2) as client:
        return int(client.publish("prices.S0", b"counted"))


@contextmanager
def clients(served: Served, symbols: int) -> Iterator[None]:
    """Runs a client per process that discards what it reads."""
    command = [sys.executable, "-m", "tests.bench.intake", "run_clients", str(served.port), str(symbols)]
    workers = find_children(served, "--worker")
    process = subprocess.Popen([*command, *map(str, workers)], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", "the clients have ended"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def run_clients(port: int, symbols: int, workers: set[int]) -> None:
    """Opens sockets until each worker serves one, subscribes these, and reads from them for ever."""
    names = [f"S{number}" for number in range(symbols)]
    request = json.dumps({"action": "subscribe", "payload": {"symbols": names}})
    selector, found = selectors.DefaultSelector(), set()
    address: Any = SimpleNamespace(port=port, address=f"127.0.0.1:{port}")
    with ExitStack() as stack:
        while found != workers:
            with ExitStack() as attempt:
                client = attempt.enter_context(upgrade(address, path="/ws?batch=1"))
                worker = find_serving_process(port, client.sock.getsockname()[1])
                if worker in workers - found:
                    stack.enter_context(attempt.pop_all())
                    found.add(worker)
                    client.send_text(request)
                    selector.register(client.sock, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                assert os.read(key.fd, 1 << 20), "the gateway has closed a socket"


def find_children(served: Served, argument: str) -> list[int]:
    """Returns the child processes of a gateway that have this argument."""
    pid = served.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if argument.encode() in arguments(child)]


def arguments(pid: str) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def cpu(pids: list[int]) -> float:
    """Returns the CPU time of all threads in seconds. It is more precise than the clock ticks of /proc/PID/stat."""
    threads = (thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def main(seconds: float) -> None:
    print(f"us of CPU per update, {PROCESSES} gateway processes, medians of {TURNS} turns of {seconds:g} s")
    print(
        f"{'symbols x Hz':>14} {'way':<8} {'Redis':>8} {'between':>8} {'gateways':>9} {'machine':>8} {'deliveries':>11}"
    )
    for symbols, hertz in CASES:
        turns: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(TURNS):
            for way in WAYS:
                turns[way].append(measure(way, symbols, hertz, seconds))
        for way, figures in turns.items():
            server, between, gateways, sent = (median(turn[part] for turn in figures) for part in figures[0])
            line = f"{server:8.2f} {between:8.2f} {gateways:9.2f} {between + gateways:8.2f} {sent:11g}"
            print(f"{f'{symbols:,} x {hertz}':>14} {way:<8} {line}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run_clients"]:
        run_clients(int(sys.argv[2]), int(sys.argv[3]), {int(pid) for pid in sys.argv[4:]})
    else:
        main(float(sys.argv[1]) if sys.argv[1:] else 10.0)
