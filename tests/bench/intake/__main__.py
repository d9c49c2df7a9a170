"""Compares ways to send updates to several gateway processes of one machine: `python -m tests.bench.intake [SECONDS]`.

- `direct`: each gateway process subscribes to Redis.
- `replica`: each gateway process subscribes to a replica of Redis.
- `relay`: one process, the relay, subscribes to Redis. It sends batches of updates to the gateway processes over a Unix
  socket. A batch begins with its length. Each update is the length of the channel, the length of the text, the channel
  and the text.

There are four gateway processes. Each gateway process is only a hub, with one client that has all symbols. The
publisher sends SET and PUBLISH, as the processor does. The ways take turns. Prints the CPU time per update of Redis, of
the replica or relay, and of the gateway processes together. Other programs may run, because only CPU time is compared.
"""

import asyncio
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import redis
from redis.asyncio import Redis

from feeds.wire import channel_name
from stockwatch.local.redis_server import RedisServer
from tests.bench.serving import ROOT
from tests.support.gateway.fakes import FakeTransport
from tests.support.waiting import wait_until
from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.fanout.intake import Intake
from watchlist.gateway.fanout.outbox import Outbox

PROCESSES = 4
TURNS = 3
CASES = ((1000, 10), (100, 10))
"""Pairs of the number of symbols and the updates per second of each symbol."""
WAYS = ("direct", "replica", "relay")
LENGTH = struct.Struct("!I")
LENGTHS = struct.Struct("!HI")
FLUSH_SECONDS = 0.001
MODULE = [sys.executable, "-m", "tests.bench.intake"]


class Sink(FakeTransport):
    """The transport of a client that always reads everything immediately."""

    def write(self, block: bytes) -> int:
        return len(block)


class Batches(asyncio.Protocol):
    """Receives the batches of the relay, and passes the updates to the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._data = b""

    def data_received(self, data: bytes) -> None:
        data, position = self._data + data, 0
        while len(data) >= position + 4 and len(data) >= position + 4 + (size := LENGTH.unpack_from(data, position)[0]):
            end, position = position + 4 + size, position + 4
            while position < end:
                name_size, size = LENGTHS.unpack_from(data, position)
                start = position + LENGTHS.size + name_size
                position = start + size
                self._hub.receive(data[start - name_size : start], data[start:position])
        self._data = data[position:]


class Relay:
    """Sends messages to all connected gateway processes, in one batch every FLUSH_SECONDS."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._writers: list[asyncio.StreamWriter] = []

    def receive(self, channel: bytes, data: bytes) -> None:
        if not self._parts:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)
        self._parts += (LENGTHS.pack(len(channel), len(data)), channel, data)

    def connect(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)

    def _flush(self) -> None:
        batch = b"".join(self._parts)
        self._parts = []
        for writer in self._writers:
            writer.write(LENGTH.pack(len(batch)) + batch)


def open_layer(port: int) -> Any:
    from watchlist.gateway.fanout.channel_layer import PricesChannelLayer

    return PricesChannelLayer(hosts=[{"host": "127.0.0.1", "port": port, "protocol": 2}])


async def run_relay(port: int, path: str, symbols: int) -> None:
    relay, layer = Relay(), open_layer(port)
    channel = await layer.new_channel()
    layer.set_receiver(relay.receive, lambda: None, lambda: None)
    for number in range(symbols):
        await layer.group_add(channel_name(f"S{number}"), channel)
    server = await asyncio.start_unix_server(relay.connect, path)
    await server.serve_forever()


async def run_gateway(port: int, path: str, symbols: int) -> None:
    """Runs a hub with one client. Reads from the Unix socket `path`, or from Redis if `path` is empty.

    Prints two numbers every 0.1 s: how many updates the hub has accepted, and 1 if it is subscribed to all symbols.
    """
    loop, intake = asyncio.get_running_loop(), Intake()
    hub = Hub(lambda delay, flush: loop.call_later(delay, flush), intake.add_symbol, intake.remove_symbol, unix_micros)
    outbox = Outbox(Sink(), loop.time, Delivery(), 256)
    hub.subscribe(outbox, [f"S{number}" for number in range(symbols)])
    if path:
        await loop.create_unix_connection(lambda: Batches(hub), path)
    else:
        intake.start(hub, open_layer(port), Redis(port=port, protocol=2))
    while True:
        await asyncio.sleep(0.1)
        print(hub.counts.accepted, int(bool(path) or intake.connected), flush=True)


def unix_micros() -> int:
    return time.time_ns() // 1000


def measure(way: str, symbols: int, hertz: int, seconds: float) -> dict[str, float]:
    """Returns the CPU time per update in microseconds of `redis`, `between` and `gateways`.

    `between` is the replica or the relay. `gateways` are all gateway processes together.
    """
    with RedisServer() as primary, RedisServer() as replica, tempfile.TemporaryDirectory() as name:
        folder, between = Path(name), []
        port, path = primary.port, ""
        if way == "replica":
            follow(replica, primary)
            port, between = replica.port, [replica.process]
        if way == "relay":
            path = f"{name}/relay"
            between = [subprocess.Popen([*MODULE, "run_relay", str(port), path, str(symbols)], cwd=ROOT)]
            wait_until(Path(path).exists, 120, "the relay")
        logs = [folder / f"gateway{number}" for number in range(PROCESSES)]
        gateways = [start(log, [*MODULE, "run_gateway", str(port), path, str(symbols)]) for log in logs]
        parts = {"redis": [primary.process], "between": between, "gateways": gateways}
        try:
            wait_until(lambda: all(read(log)[1] for log in logs), 120, "the subscriptions")
            before, accepted = {part: cpu(*processes) for part, processes in parts.items()}, sum(map(received, logs))
            publisher = [sys.executable, "-m", "tests.bench.publisher", str(primary.port), str(symbols)]
            subprocess.run([*publisher, str(hertz), str(seconds)], cwd=ROOT, check=True)
            count = int(hertz * seconds) * symbols
            wait_until(lambda: sum(map(received, logs)) >= accepted + PROCESSES * count, 60, "the last update")
            return {part: (cpu(*processes) - before[part]) * 1e6 / count for part, processes in parts.items()}
        finally:
            for process in [*gateways, *(between if way == "relay" else [])]:
                process.kill()
                process.wait()


def follow(replica: RedisServer, primary: RedisServer) -> None:
    with redis.Redis(port=replica.port, protocol=2) as client:
        client.replicaof("127.0.0.1", str(primary.port))
        wait_until(lambda: client.info("replication").get("master_link_status") == "up", 120, "the replica")


def start(log: Path, command: list[str]) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, stdout=output)


def read(log: Path) -> tuple[int, int]:
    """Returns the newest two numbers that `run_gateway` has printed to a log file."""
    lines = log.read_text().splitlines()
    accepted, connected = lines[-1].split() if lines and len(lines[-1].split()) == 2 else ("0", "0")
    return int(accepted), int(connected)


def received(log: Path) -> int:
    return read(log)[0]


def cpu(*processes: "subprocess.Popen[bytes]") -> float:
    """Returns the CPU time of all threads of these processes in seconds, in steps of nanoseconds."""
    threads = (thread for process in processes for thread in Path(f"/proc/{process.pid}/task").iterdir())
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def main(seconds: float) -> None:
    print(f"us of CPU per update, {PROCESSES} gateway processes, medians of {TURNS} turns of {seconds:g} s")
    print(f"{'symbols x Hz':>14} {'way':<8} {'Redis':>8} {'between':>8} {'gateways':>9} {'machine':>8}")
    for symbols, hertz in CASES:
        turns: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(TURNS):
            for way in WAYS:
                turns[way].append(measure(way, symbols, hertz, seconds))
        for way, figures in turns.items():
            server, between, gateways = (median(turn[part] for turn in figures) for part in figures[0])
            line = f"{server:8.2f} {between:8.2f} {gateways:9.2f} {between + gateways:8.2f}"
            print(f"{f'{symbols:,} x {hertz}':>14} {way:<8} {line}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run_relay"]:
        asyncio.run(run_relay(int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
    elif sys.argv[1:2] == ["run_gateway"]:
        asyncio.run(run_gateway(int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
    else:
        main(float(sys.argv[1]) if sys.argv[1:] else 10.0)
