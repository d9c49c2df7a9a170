"""Runs mixed load with faults: `make bench-soak`, or `python -m tests.bench.soak [MINUTES]`.

The gateway serves programs, pages, slow readers, clients that connect and leave, and clients that send invalid frames.
Four rounds repeat. The first round cuts the pub/sub connection. The second round stops Redis. The third round kills
Redis and starts an empty Redis. The fourth round has no fault. At the end of each round, the publisher pauses. Each
client must then get the last price of all its symbols within SETTLE_SECONDS. The memory of the gateway is measured.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from statistics import linear_regression

import redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from stockwatch.local.redis_server import RedisServer
from tests.bench.fuzz import play
from tests.bench.serving import ROOT, Served, serve

SYMBOLS = 200
HERTZ = 5
OWN = 20
BUSY_SECONDS = 20.0
"""How many seconds the publisher runs in each round."""
SETTLE_SECONDS = 60.0
"""The longest pause of the publisher at the end of a round. The pause ends early when each client has all last prices.

A resync takes at most 5 s, and so does a reconnect of a client. On a busy machine the clients of this program are late.
"""
KINDS = {
    "program": ("/ws", "%"),
    "page": (
        "/ws?batch=1&heartbeat=15&meta=1",
        '{"action":"subscribe","payload":{"symbols":%,"options":{"max_hz":4}}}',
    ),
    "recorder": ("/ws", '{"action":"subscribe","payload":{"symbols":%,"options":{"mode":"all"}}}'),
}
CLIENTS = {"program": 150, "page": 100, "recorder": 20}


class Client:
    """A client that reconnects.

    `last` maps each symbol to the order of the newest received update.
    """

    def __init__(self, gateway: Served, kind: str, rng: random.Random) -> None:
        self._address = f"ws://127.0.0.1:{gateway.port}{KINDS[kind][0]}"
        self._request = KINDS[kind][1]
        self._rng = rng
        self._host = f"127.{rng.randrange(3, 250)}.{rng.randrange(250)}.{rng.randrange(1, 250)}"
        self.symbols = [f"S{number}" for number in rng.sample(range(SYMBOLS), OWN)]
        self.last: dict[str, tuple[int, int]] = {}
        self.out_of_order = 0
        self.counts: Counter[str] = Counter()

    async def follow(self) -> None:
        while True:
            with suppress(OSError, WebSocketException, TimeoutError):
                async with connect(self._address, compression=None, local_addr=(self._host, 0)) as socket:
                    await socket.send(self._request.replace("%", json.dumps(self.symbols)))
                    await self._read(socket)
            self.counts["disconnects"] += 1
            await asyncio.sleep(self._rng.uniform(0.5, 2))

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            value = json.loads(text)
            for update in value if isinstance(value, list) else [value]:
                if "seq_id" in update and "price" in update:
                    self._count_update(update)

    def _count_update(self, update: dict[str, int]) -> None:
        symbol, order = str(update["symbol"]), (update["timestamp"], update["seq_id"])
        self.counts["updates"] += 1
        if order < self.last.get(symbol, order):
            self.out_of_order += 1
        self.last[symbol] = order


async def connect_and_leave(gateway: Served, rng: random.Random) -> None:
    """Repeats in a loop: connects, subscribes, unsubscribes, subscribes again and leaves."""
    while True:
        host = f"127.251.{rng.randrange(250)}.{rng.randrange(1, 250)}"
        with suppress(OSError, WebSocketException, TimeoutError):
            async with connect(f"ws://127.0.0.1:{gateway.port}/ws", compression=None, local_addr=(host, 0)) as socket:
                for action in ("subscribe", "unsubscribe", "subscribe"):
                    symbols = [f"S{number}" for number in rng.sample(range(SYMBOLS), 5)]
                    await socket.send(json.dumps({"action": action, "payload": {"symbols": symbols}}))
                    await socket.recv()
        await asyncio.sleep(rng.uniform(0.05, 0.2))


async def read_nothing(gateway: Served, rng: random.Random) -> None:
    """Repeats in a loop: subscribes to all symbols and reads nothing."""
    all_symbols = json.dumps([f"S{number}" for number in range(SYMBOLS)])
    while True:
        host = f"127.252.{rng.randrange(250)}.{rng.randrange(1, 250)}"
        with suppress(OSError, WebSocketException, TimeoutError):
            options = {"local_addr": (host, 0), "max_queue": 1, "ping_interval": None, "close_timeout": 1}
            async with connect(f"ws://127.0.0.1:{gateway.port}/ws", compression=None, **options) as socket:
                await socket.send(all_symbols)
                await asyncio.sleep(rng.uniform(20, 40))


async def send_invalid_frames(gateway: Served, rng: random.Random) -> None:
    while True:
        with suppress(OSError, AssertionError):
            await asyncio.to_thread(play, gateway, 200, rng.randrange(2**32))
        await asyncio.sleep(1)


class Feed:
    """The publisher, in a process that can be paused."""

    def __init__(self, port: int, seconds: float) -> None:
        command = [sys.executable, "-m", "tests.bench.publisher", str(port), str(SYMBOLS), str(HERTZ), str(seconds)]
        self._command = command
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def resume(self) -> None:
        """Continues the publisher. Restarts the publisher if it ended in an outage of Redis."""
        if self.process.poll() is not None:
            self.process = subprocess.Popen(self._command, cwd=ROOT, stderr=subprocess.DEVNULL)
        self.process.send_signal(signal.SIGCONT)

    def pause(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


async def cut_pubsub(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


async def stop_redis(server: RedisServer) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)
    await asyncio.sleep(4)
    os.kill(server.process.pid, signal.SIGCONT)


async def kill_redis(server: RedisServer) -> None:
    server.kill()
    await asyncio.sleep(3)
    await asyncio.to_thread(server.start)


async def cause_no_fault(_server: RedisServer) -> None:
    await asyncio.sleep(1)


FAULTS: list[Callable[[RedisServer], Awaitable[None]]] = [cut_pubsub, stop_redis, kill_redis, cause_no_fault]
"""The functions that cause the fault of a round. The rounds use these functions in turn."""


def count_lost(clients: list[Client], server: RedisServer) -> tuple[int, int]:
    """Counts subscriptions: pairs of a client and a symbol.

    Returns two values: the number of subscriptions, and how many of these lack the newest update of the symbol.
    """
    with redis.Redis(port=server.port, protocol=2) as store:
        names = [f"S{number}" for number in range(SYMBOLS)]
        values = [json.loads(value) for value in store.mget([f"stock:{name}" for name in names]) if value]
    newest = {value["symbol"]: (value["timestamp"], value["seq_id"]) for value in values}
    pairs = [(client, symbol) for client in clients for symbol in client.symbols if symbol in newest]
    return len(pairs), sum(client.last.get(symbol) != newest[symbol] for client, symbol in pairs)


class Result:
    """The results of the rounds. `memory` holds pairs of minutes and resident megabytes."""

    def __init__(self) -> None:
        self.rounds = self.compared = self.lost = 0
        self.memory: list[tuple[float, float]] = []

    def add_round(self, compared: int, lost: int, minute: float, memory: float) -> None:
        self.rounds += 1
        self.compared += compared
        self.lost += lost
        self.memory.append((minute, memory))

    def print_summary(self, clients: list[Client], slow: int) -> int:
        """Prints the summary. Returns 1 if a price was lost or came out of order."""
        settled = self.memory[len(self.memory) // 2 :]
        slope = linear_regression(*zip(*settled, strict=True)).slope * 1024 if len(settled) > 2 else 0.0
        updates, disconnects = (sum(client.counts[name] for client in clients) for name in ("updates", "disconnects"))
        out_of_order = sum(client.out_of_order for client in clients)
        print(f"{self.rounds} rounds, {updates:,} updates received, {disconnects} disconnects, {slow} slow clients.")
        print(f"Last prices compared {self.compared:,}, lost {self.lost}; updates out of order {out_of_order}.")
        print(f"Memory in the second half {settled[0][1]:.1f} to {settled[-1][1]:.1f} MB, {slope:+.1f} KB per minute.")
        return int(self.lost > 0 or out_of_order > 0)


async def play_round(feed: Feed, server: RedisServer, fault: Callable[[RedisServer], Awaitable[None]]) -> None:
    """Runs the publisher, causes the fault after half of the time, then pauses the publisher."""
    feed.resume()
    await asyncio.sleep(BUSY_SECONDS / 2)
    await fault(server)
    feed.resume()
    await asyncio.sleep(BUSY_SECONDS / 2)
    feed.pause()


async def settle(clients: list[Client], server: RedisServer) -> tuple[int, int, float]:
    """Waits until no price is missing. Returns the two values of `count_lost`, and the seconds of waiting."""
    started = time.monotonic()
    while True:
        await asyncio.sleep(1)
        compared, lost = count_lost(clients, server)
        waited = time.monotonic() - started
        if not lost or waited >= SETTLE_SECONDS:
            return compared, lost, waited


async def soak(gateway: Served, server: RedisServer, minutes: float) -> int:
    rng = random.Random(20261122)
    clients = [Client(gateway, kind, rng) for kind, count in CLIENTS.items() for _ in range(count)]
    feed = Feed(server.port, minutes * 120)
    tasks = [asyncio.ensure_future(client.follow()) for client in clients]
    tasks += [asyncio.ensure_future(connect_and_leave(gateway, rng)) for _ in range(5)]
    tasks += [asyncio.ensure_future(read_nothing(gateway, rng)) for _ in range(5)]
    tasks += [asyncio.ensure_future(send_invalid_frames(gateway, rng)) for _ in range(2)]
    started, result = time.monotonic(), Result()
    try:
        while time.monotonic() - started < minutes * 60:
            fault = FAULTS[result.rounds % len(FAULTS)]
            await play_round(feed, server, fault)
            compared, lost, waited = await settle(clients, server)
            minute, memory = (time.monotonic() - started) / 60, gateway.resident
            result.add_round(compared, lost, minute, memory)
            name = fault.__name__.replace("_", " ")
            state = f"lost {lost} of {compared} after {waited:.0f} s"
            print(f"{minute:6.1f} min  {memory:6.1f} MB  {state}  fault: {name}", flush=True)
    finally:
        feed.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return result.print_summary(clients, count_slow_clients(gateway))


def count_slow_clients(gateway: Served) -> int:
    return int(gateway.metric('closed_total{reason="slow"}'))


def main(arguments: list[str]) -> int:
    minutes = float(arguments[0]) if arguments else 20.0
    limits = {"GATEWAY_RATE_PER_SECOND": "1000", "GATEWAY_RATE_BURST": "1000", "GATEWAY_MAX_PER_ADDRESS": "0"}
    with (
        RedisServer() as server,
        tempfile.TemporaryDirectory() as folder,
        serve(server, Path(folder), SYMBOLS, **limits) as gateway,
    ):
        return asyncio.run(soak(gateway, server, minutes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
