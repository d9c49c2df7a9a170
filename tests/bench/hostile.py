"""Measures how hostile clients delay other clients: `make bench-hostile`, or `python -m tests.bench.hostile [SECONDS]`.

A `rungateway` of one process runs on one core. On the other core, clients load the page, ping the gateway and receive
prices. There are two cases, which take turns, each with a new gateway. In the first case, there is no attacker. In the
second case, `tests.support.gateway.attacker` sends each hostile request once a second. Prints a table of the delays and
writes `build/bench-hostile.json`.
"""

import asyncio
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import redis
from websockets.asyncio.client import ClientConnection, connect

from stockwatch.local.redis_server import RedisServer
from tests.bench.gateway import BUILD, commit, end, start_on_client_core
from tests.bench.serving import Served, serve
from tests.support.waiting import wait_until

SECONDS, WARM_UP_SECONDS, TURNS = 30.0, 5.0, 3
MAX_RATIO = 1.5
SYMBOLS, HERTZ = 4, 20
PAGES_PER_SECOND = 10.0
PINGS_PER_SECOND = 4.0
"""The pings per second of one socket. The gateway accepts at most five messages per second from a socket."""
PINGING_SOCKETS = 8
PAGE_ADDRESS, FEED_ADDRESS = "127.0.0.2", "127.0.0.3"
PING_ADDRESSES = [f"127.0.1.{number}" for number in range(PINGING_SOCKETS)]
MEASURES = {"page": "GET /", "socket": "ping to pong", "feed": "PUBLISH to receipt"}

Delays = dict[str, list[float]]


class Clients:
    """The clients whose delays are measured, in ms. Delays before the time `started` do not count."""

    def __init__(self, port: int, started: float, seconds: float) -> None:
        self._port = port
        self._started = started
        self._end = started + seconds
        self._rng = random.Random(7)
        self.delays: Delays = {name: [] for name in MEASURES}

    async def run(self) -> None:
        await asyncio.gather(self._load_pages(), self._receive_prices(), *map(self._ping, PING_ADDRESSES))

    def _note(self, name: str, delay: float) -> None:
        if time.monotonic() >= self._started:
            self.delays[name].append(delay * 1000)

    async def _repeat(self, per_second: float, act: Callable[[], Awaitable[None]]) -> None:
        """Calls `act` once in each period of 1 / `per_second` seconds, at a random moment of the period."""
        due = time.monotonic()
        while due < self._end:
            await asyncio.sleep(max(0.0, due + self._rng.random() / per_second - time.monotonic()))
            await act()
            due += 1 / per_second

    async def _load_pages(self) -> None:
        """Loads pages at random moments. A page may be requested while the gateway renders the previous page."""
        async with asyncio.TaskGroup() as visitors:
            while time.monotonic() < self._end:
                await asyncio.sleep(self._rng.expovariate(PAGES_PER_SECOND))
                visitors.create_task(self._load_page())

    async def _load_page(self) -> None:
        started = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(PAGE_ADDRESS, 0))
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"the page was answered with {answer[:80]!r}")
        self._note("page", time.monotonic() - started)

    def _connect(self, address: str) -> connect:
        uri = f"ws://127.0.0.1:{self._port}/ws"
        return connect(uri, local_addr=(address, 0), compression=None, ping_interval=None)

    async def _ping(self, address: str) -> None:
        async with self._connect(address) as socket:
            await self._repeat(PINGS_PER_SECOND, lambda: self._measure_ping(socket))

    async def _measure_ping(self, socket: ClientConnection) -> None:
        started = time.monotonic()
        await socket.send('{"action":"ping"}')
        await socket.recv()
        self._note("socket", time.monotonic() - started)

    async def _receive_prices(self) -> None:
        async with self._connect(FEED_ADDRESS) as socket:
            await socket.send(json.dumps([f"S{number}" for number in range(SYMBOLS)]))
            async with asyncio.timeout(self._end - time.monotonic()):
                async for text in socket:
                    self._note("feed", time.time() - json.loads(text)["timestamp"] / 1e6)


async def run_clients(port: int, seconds: float) -> Delays:
    clients = Clients(port, time.monotonic() + WARM_UP_SECONDS, seconds)
    with suppress(TimeoutError):  # the end of the feed
        await clients.run()
    return clients.delays


def measure(folder: Path, seconds: float, names: list[str] | None) -> dict[str, Any]:
    """Measures one turn with a new gateway. `names` are the hostile requests: [] for all, None for no attacker."""
    limits = {"GATEWAY_MAX_PER_ADDRESS": "250", "GATEWAY_MAX_HTTP_PER_ADDRESS": "250"}
    with RedisServer() as server, serve(server, folder, SYMBOLS, core=0, **limits) as gateway:
        rounds = [str(server.port), str(SYMBOLS), str(HERTZ), str(seconds + 60)]
        publisher = start_on_client_core([sys.executable, "-m", "tests.bench.publisher", *rounds])
        try:
            with redis.Redis(port=server.port, protocol=2) as client:
                wait_until(lambda: client.dbsize() >= SYMBOLS, 30, "the first prices")
            return measure_beside_attacker(gateway, seconds, names)
        finally:
            end(publisher)


def measure_beside_attacker(gateway: Served, seconds: float, names: list[str] | None) -> dict[str, Any]:
    attacker = None if names is None else start_attacker(gateway.port, names)
    before, started = gateway.cpu, time.monotonic()
    delays = asyncio.run(run_clients(gateway.port, seconds))
    share = (gateway.cpu - before) / (time.monotonic() - started)
    answers: dict[str, int] = {}
    if attacker is not None:
        attacker.send_signal(signal.SIGTERM)
        answers = json.loads(attacker.communicate()[0])
    figures = {name: summarize(values) for name, values in delays.items()}
    return {"delays": figures, "share_of_core": share, "peak_mb": gateway.peak, "answers": answers}


def start_attacker(port: int, names: list[str]) -> subprocess.Popen[bytes]:
    command = ["taskset", "-c", "1", sys.executable, "-m", "tests.support.gateway.attacker", str(port), *names]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def summarize(delays: list[float]) -> dict[str, float]:
    delays = sorted(delays)
    return {
        "count": len(delays),
        "p50_ms": delays[len(delays) // 2],
        "p99_ms": delays[int(len(delays) * 0.99)],
        "max_ms": delays[-1],
    }


def compare(without: list[dict[str, Any]], beside: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Returns a dict from each kind of delay to the medians of both cases, and the ratio of their p99 delays."""
    figures = {}
    for name in MEASURES:
        row = {}
        for case, turns in (("without", without), ("beside", beside)):
            for figure in ("p50_ms", "p99_ms"):
                row[f"{case}_{figure}"] = median(turn["delays"][name][figure] for turn in turns)
        row["p99_ratio"] = row["beside_p99_ms"] / row["without_p99_ms"]
        figures[name] = row
    return figures


HEADER = f"{'':24}{'without: p50':>14}{'p99':>8}{'hostile: p50':>14}{'p99':>8}{'ratio of p99':>14}{'at most':>9}"


def format_row(name: str, row: dict[str, float]) -> str:
    missed = "" if row["p99_ratio"] <= MAX_RATIO else "  MISSED"
    return (
        f"{MEASURES[name]:24}{row['without_p50_ms']:14.1f}{row['without_p99_ms']:8.1f}"
        f"{row['beside_p50_ms']:14.1f}{row['beside_p99_ms']:8.1f}{row['p99_ratio']:14.2f}{MAX_RATIO:9}{missed}"
    )


def main(seconds: float, names: list[str]) -> int:
    BUILD.mkdir(exist_ok=True)
    load = os.getloadavg()[0]
    os.sched_setaffinity(0, {1})  # with the publisher and Redis; the gateway has the other core
    without, beside = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(TURNS):
            without.append(measure(Path(folder), seconds, None))
            beside.append(measure(Path(folder), seconds, names))
    figures = compare(without, beside)
    print(HEADER, *(format_row(name, row) for name, row in figures.items()), sep="\n")
    for case, turns in (("without", without), ("hostile", beside)):
        share, peak = (median(turn[figure] for turn in turns) for figure in ("share_of_core", "peak_mb"))
        print(f"{case}: {share:.0%} of a core, at most {peak:.0f} MB")
    for answer, count in sorted(beside[-1]["answers"].items()):
        print(f"  {answer} x {count}")
    machine = f"{platform.platform()}, {os.cpu_count()} cores"
    loads = f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"{commit()}; {machine}; {loads}")
    result = {"commit": commit(), "machine": machine, "load": loads, "seconds": seconds, "hostile": names or "all"}
    result |= {"figures": figures, "without": without, "beside": beside}
    (BUILD / "bench-hostile.json").write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS, sys.argv[2:]))
