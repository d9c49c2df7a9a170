"""Mixed load with faults: `make bench-soak`, or `python -m tests.bench.soak [MINUTES]`.

Programs, pages, slow readers, clients that come and go and clients that send rubbish are on one gateway, while its
pub/sub connection is cut, Redis is stopped for a while, killed and started empty, and the feed pauses. Each round ends
with a silence: then whoever is connected must have the last price of each of his symbols. Memory is noted all the time.
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
BUSY = 20.0
"""Seconds of a round's work, before its silence."""
SETTLE = 12.0
"""Seconds of silence: a lost last price is read again within 5, a client is back within 5."""
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
    """Reconnects when it is cut off; `last` is what it heard last of each symbol."""

    def __init__(self, gateway: Served, kind: str, chance: random.Random) -> None:
        self._address = f"ws://127.0.0.1:{gateway.port}{KINDS[kind][0]}"
        self._request = KINDS[kind][1]
        self._chance = chance
        self._host = f"127.{chance.randrange(3, 250)}.{chance.randrange(250)}.{chance.randrange(1, 250)}"
        self.symbols = [f"S{number}" for number in chance.sample(range(SYMBOLS), OWN)]
        self.last: dict[str, tuple[int, int]] = {}
        self.back_steps = 0
        self.counts: Counter[str] = Counter()

    async def follow(self) -> None:
        while True:
            with suppress(OSError, WebSocketException, TimeoutError):
                async with connect(self._address, compression=None, local_addr=(self._host, 0)) as line:
                    await line.send(self._request.replace("%", json.dumps(self.symbols)))
                    await self._read(line)
            self.counts["cut off"] += 1
            await asyncio.sleep(self._chance.uniform(0.5, 2))

    async def _read(self, line: ClientConnection) -> None:
        async for text in line:
            value = json.loads(text)
            for update in value if isinstance(value, list) else [value]:
                if "seq_id" in update and "price" in update:
                    self._take(update)

    def _take(self, update: dict[str, int]) -> None:
        symbol, order = str(update["symbol"]), (update["timestamp"], update["seq_id"])
        self.counts["updates"] += 1
        if order < self.last.get(symbol, order):
            self.back_steps += 1
        self.last[symbol] = order


async def come_and_go(gateway: Served, chance: random.Random) -> None:
    """Connects, subscribes, changes its mind, leaves; over and over."""
    while True:
        host = f"127.251.{chance.randrange(250)}.{chance.randrange(1, 250)}"
        with suppress(OSError, WebSocketException, TimeoutError):
            async with connect(f"ws://127.0.0.1:{gateway.port}/ws", compression=None, local_addr=(host, 0)) as line:
                for action in ("subscribe", "unsubscribe", "subscribe"):
                    symbols = [f"S{number}" for number in chance.sample(range(SYMBOLS), 5)]
                    await line.send(json.dumps({"action": action, "payload": {"symbols": symbols}}))
                    await line.recv()
        await asyncio.sleep(chance.uniform(0.05, 0.2))


async def read_nothing(gateway: Served, chance: random.Random) -> None:
    """Subscribes to everything and never reads, until it is cut off; then again."""
    everything = json.dumps([f"S{number}" for number in range(SYMBOLS)])
    while True:
        host = f"127.252.{chance.randrange(250)}.{chance.randrange(1, 250)}"
        with suppress(OSError, WebSocketException, TimeoutError):
            options = {"local_addr": (host, 0), "max_queue": 1, "ping_interval": None, "close_timeout": 1}
            async with connect(f"ws://127.0.0.1:{gateway.port}/ws", compression=None, **options) as line:
                await line.send(everything)
                await asyncio.sleep(chance.uniform(20, 40))


async def send_rubbish(gateway: Served, chance: random.Random) -> None:
    while True:
        with suppress(OSError, AssertionError):
            await asyncio.to_thread(play, gateway, 200, chance.randrange(2**32))
        await asyncio.sleep(1)


class Feed:
    """The publisher as a process that can be paused."""

    def __init__(self, port: int, seconds: float) -> None:
        command = [sys.executable, "-m", "tests.bench.publisher", str(port), str(SYMBOLS), str(HERTZ), str(seconds)]
        self._command = command
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def go_on(self) -> None:
        """Starts again where Redis has ended it."""
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


async def stop_redis_for_a_while(server: RedisServer) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)
    await asyncio.sleep(4)
    os.kill(server.process.pid, signal.SIGCONT)


async def kill_redis(server: RedisServer) -> None:
    server.kill()
    await asyncio.sleep(3)
    await asyncio.to_thread(server.start)


async def leave_alone(_server: RedisServer) -> None:
    await asyncio.sleep(1)


FAULTS: list[Callable[[RedisServer], Awaitable[None]]] = [cut_pubsub, stop_redis_for_a_while, kill_redis, leave_alone]
"""One a round, in turn."""


def count_lost(clients: list[Client], server: RedisServer) -> tuple[int, int]:
    """Pairs of a client and a symbol, and how many of these lack the newest price."""
    with redis.Redis(port=server.port, protocol=2) as client:
        names = [f"S{number}" for number in range(SYMBOLS)]
        values = [json.loads(value) for value in client.mget([f"stock:{name}" for name in names]) if value]
    newest = {value["symbol"]: (value["timestamp"], value["seq_id"]) for value in values}
    pairs = [(follower, symbol) for follower in clients for symbol in follower.symbols if symbol in newest]
    return len(pairs), sum(follower.last.get(symbol) != newest[symbol] for follower, symbol in pairs)


async def soak(gateway: Served, server: RedisServer, minutes: float) -> int:
    chance = random.Random(20261122)
    clients = [Client(gateway, kind, chance) for kind, many in CLIENTS.items() for _ in range(many)]
    feed = Feed(server.port, minutes * 120)
    tasks = [asyncio.ensure_future(client.follow()) for client in clients]
    tasks += [asyncio.ensure_future(come_and_go(gateway, chance)) for _ in range(5)]
    tasks += [asyncio.ensure_future(read_nothing(gateway, chance)) for _ in range(5)]
    tasks += [asyncio.ensure_future(send_rubbish(gateway, chance)) for _ in range(2)]
    begun, rounds, pairs, lost = time.monotonic(), 0, 0, 0
    memory: list[tuple[float, float]] = []
    try:
        while time.monotonic() - begun < minutes * 60:
            feed.go_on()
            await asyncio.sleep(BUSY / 2)
            await FAULTS[rounds % len(FAULTS)](server)
            feed.go_on()
            await asyncio.sleep(BUSY / 2)
            feed.pause()
            await asyncio.sleep(SETTLE)
            rounds += 1
            compared, missing = count_lost(clients, server)
            pairs, lost = pairs + compared, lost + missing
            memory.append(((time.monotonic() - begun) / 60, gateway.resident))
            fault = FAULTS[(rounds - 1) % len(FAULTS)].__name__.replace("_", " ")
            print(
                f"{memory[-1][0]:6.1f} min  {memory[-1][1]:6.1f} MB  lost {missing} of {compared}  after: {fault}",
                flush=True,
            )
    finally:
        feed.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    settled = memory[len(memory) // 2 :]
    slope = linear_regression(*zip(*settled, strict=True)).slope * 1024 if len(settled) > 2 else 0.0
    updates, cuts = (sum(client.counts[name] for client in clients) for name in ("updates", "cut off"))
    older = sum(client.back_steps for client in clients)
    print(f"{rounds} rounds, {updates:,} updates heard, clients cut off {cuts}, slow ones {count_closed(gateway)}.")
    print(f"Last prices compared {pairs:,}, lost {lost}; older after newer {older}.")
    print(f"Memory in the second half {settled[0][1]:.1f} to {settled[-1][1]:.1f} MB, {slope:+.1f} KB a minute.")
    return int(lost > 0 or older > 0)


def count_closed(gateway: Served) -> int:
    return int(gateway.metric('closed_total{reason="slow"}'))


def main(words: list[str]) -> int:
    minutes = float(words[0]) if words else 20.0
    limits = {"GATEWAY_RATE_PER_SECOND": "1000", "GATEWAY_RATE_BURST": "1000"}
    with (
        RedisServer() as server,
        tempfile.TemporaryDirectory() as folder,
        serve(server, Path(folder), SYMBOLS, **limits) as gateway,
    ):
        return asyncio.run(soak(gateway, server, minutes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
