"""Measures how long clients wait at another gateway after a drain: `python -m tests.bench.draining [OPTION …]`.

All sockets are on one gateway, which gets SIGTERM. Each client waits as the page does, at first 0.25 to 0.5 s, and
then connects to a second gateway. The measured time begins when the client connects, and ends with its first price. It
includes the wait in the accept queue. Each client has its own address.

With `--rotation SECONDS`, there is no drain and only one gateway. The gateway closes each socket after at most SECONDS,
and the client connects to the same gateway again.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stockwatch.local.redis_server import RedisServer
from tests.bench.returning import FIRST_DELAY, LONGEST_DELAY
from tests.support.gateway.process import ROOT, GatewayProcess, make_database
from tests.support.waiting import wait_until

FIRST_ADDRESS = 0x7F030001  # 127.3.0.1
CONCURRENT_CLIENTS = 32
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
REQUEST = b'["AAPL","GOOG","TSLA","BRK.B"]'
FRAME = bytes((0x81, 0x80 | len(REQUEST), 0, 0, 0, 0)) + REQUEST
RECONNECT_CLOSE = b"\x88\x02" + struct.pack("!H", 4001)
CLOSE_REPLY = b"\x88\x82\x00\x00\x00\x00" + struct.pack("!H", 4001)


class Client(asyncio.Protocol):
    """A client that reconnects to `port`. `waits` holds the seconds from each connect to its first price.

    `live_at` is the time of the first price on the newest socket, in monotonic seconds.
    """

    def __init__(self, number: int, port: int) -> None:
        self._address = socket.inet_ntoa(struct.pack("!I", FIRST_ADDRESS + number))
        self._transport: asyncio.Transport
        self.port = port
        self.waits: list[float] = []
        self.live_at = 0.0
        self.failures = 0
        self._attempt = 0
        self.live = asyncio.Event()

    async def connect(self) -> None:
        self._subscribed, self._last, self._started = False, b"", time.monotonic()
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self, "127.0.0.1", self.port, local_addr=(self._address, 0))
        except OSError:
            self._lose()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._moved = transport, False
        transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        data = self._last + data
        self._last = data[-8:]  # what is searched for may be divided
        if not self._subscribed and b"HTTP/1.1 101" in data:
            self._subscribed = True
            self._transport.write(FRAME)
        if not self.live.is_set() and b'"seq_id' in data:
            self.live.set()
            self._attempt = 0
            self.live_at = time.monotonic()
            self.waits.append(self.live_at - self._started)
        if RECONNECT_CLOSE in data:
            self._moved = True
            self._transport.write(CLOSE_REPLY)
            self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self.failures += not self._moved
        self._lose()

    def _lose(self) -> None:
        self.live.clear()
        loop, longest = asyncio.get_running_loop(), min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self._attempt, 10))
        self._attempt += 1
        loop.call_later(random.uniform(longest / 2, longest), lambda: loop.create_task(self.connect()))


async def run_clients(first: int, count: int, port: int, next_port: int) -> None:
    """Connects the clients. Prints a line when all clients have a price. Prints the figures at SIGTERM.

    `first` is the number of the first client. The clients connect to `port`, and later to `next_port`.
    """
    clients = [Client(first + number, port) for number in range(count)]
    remaining, stopped = iter(clients), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    async def connect_next() -> None:
        for client in remaining:
            await client.connect()
            await client.live.wait()

    await asyncio.gather(*(connect_next() for _ in range(CONCURRENT_CLIENTS)))
    for client in clients:
        client.waits.clear()
        client.port = next_port
    print("live", flush=True)
    await stopped.wait()
    waits = [wait for client in clients for wait in client.waits]
    figures = {
        "live": sum(client.live.is_set() for client in clients),
        "waits": [round(wait, 4) for wait in waits],
        "failures": sum(client.failures for client in clients),
        "live_at": [round(client.live_at, 4) for client in clients],
    }
    print(json.dumps(figures), flush=True)
    os._exit(0)


def start_clients(first: int, count: int, port: int, next_port: int) -> "subprocess.Popen[bytes]":
    numbers = [str(number) for number in (first, count, port, next_port)]
    command = [sys.executable, "-m", "tests.bench.draining", "clients", *numbers]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def measure(sockets: int, processes: int, rotation: float, seconds: float) -> dict[str, Any]:
    """Runs gateways and clients, and returns the figures of `run`.

    `processes` is the number of processes of each gateway. `rotation` is the maximum age of a socket in seconds; 0 for
    a drain.
    """
    with tempfile.TemporaryDirectory() as name, RedisServer() as server:
        folder = Path(name)
        variables = {"GATEWAY_PROCESSES": str(processes), "GATEWAY_MAX_CONNECTIONS": "0", "GATEWAY_DRAIN": "5s"}
        # The clients answer no pings.
        variables |= {"GATEWAY_TIMEOUTS_PING_PERIOD": "59m", "GATEWAY_TIMEOUTS_PONG_WAIT": "60m"}
        if rotation:
            variables["GATEWAY_MAX_AGE"] = f"{rotation:g}s"
        database, shared = make_database(folder), (server, "rungateway")
        gateways = [GatewayProcess(folder, database, *shared, **variables) for _ in range(1 if rotation else 2)]
        clients: list[subprocess.Popen[bytes]] = []
        try:
            for gateway in gateways:
                gateway.start()
            for symbol in ("AAPL", "GOOG", "TSLA", "BRK.B"):
                gateways[0].publish(symbol)
            first, last, share = gateways[0], gateways[-1], sockets // processes
            clients += [start_clients(number * share, share, first.port, last.port) for number in range(processes)]
            for client in clients:
                assert client.stdout is not None
                assert client.stdout.readline() == b"live\n"
            return {"sockets": share * processes} | run(first, clients, rotation, seconds)
        finally:
            for client in clients:
                client.kill()
                client.wait()
            for gateway in gateways:
                gateway.stop()


def run(
    first: GatewayProcess, clients: list["subprocess.Popen[bytes]"], rotation: float, seconds: float
) -> dict[str, Any]:
    """Drains the first gateway, or waits while it rotates its sockets for `seconds` seconds. Returns the figures."""
    started, rate = time.monotonic(), first.metric("accept_rate")
    if rotation:
        wait_until(lambda: time.monotonic() > started + seconds, seconds + 60)
    else:
        first.signal()
        assert first.process is not None
        first.process.wait(300)
    took = time.monotonic() - started
    wait_until(lambda: time.monotonic() > started + took + 5, 60)
    figures: dict[str, Any] = {"seconds": round(took, 1), "accept_rate": round(rate), "live": 0, "failures": 0}
    waits: list[float] = []
    for client in clients:
        client.send_signal(signal.SIGTERM)
        assert client.stdout is not None
        found = json.loads(client.stdout.readline())
        waits += found["waits"]
        figures["live"], figures["failures"] = figures["live"] + found["live"], figures["failures"] + found["failures"]
    waits.sort()
    shares = {"half": 0.5, "p99": 0.99, "longest": 1.0}
    return figures | {"moved": len(waits)} | {key: waits[int((len(waits) - 1) * at)] for key, at in shares.items()}


def main() -> None:
    if sys.argv[1:2] == ["clients"]:
        first, count, port, next_port = map(int, sys.argv[2:6])
        asyncio.run(run_clients(first, count, port, next_port))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1, help="processes of each gateway, and of the clients")
    parser.add_argument("--rotation", type=float, default=0.0, metavar="SECONDS", help="GATEWAY_MAX_AGE")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long a rotation is measured")
    parsed = parser.parse_args()
    found = measure(parsed.sockets, parsed.processes, parsed.rotation, parsed.seconds)
    event = "rotated" if parsed.rotation else "drained"
    print(
        f"{found['sockets']:,} sockets {event} in {found['seconds']:.1f} s, {found['moved']:,} connects, accept rate "
        f"{found['accept_rate']:,} per second: first price after {found['half'] * 1000:.0f} ms (half), "
        f"{found['p99'] * 1000:.0f} ms (99%), {found['longest'] * 1000:.0f} ms (longest); "
        f"{found['failures']} lost otherwise, {found['live']:,} live at the end"
    )


if __name__ == "__main__":
    main()
