"""Measures the cost of clients that connect and leave: `make bench-churn`, or `python -m tests.bench.churn [CONNECTS]`.

Each client connects from its own address, subscribes, waits for the quotes of its symbols, and leaves. Half of the
clients send a close frame. Afterwards the gateway must have freed everything: tasks, symbols, groups in Redis, memory.
"""

import asyncio
import os
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

import redis

from feeds import wire
from stockwatch.local.redis_server import RedisServer
from tests.bench.serving import Served, serve
from tests.support.waiting import wait_until

SYMBOLS = 50
CONCURRENT_CLIENTS = 64
WARM_UP_CLIENTS = 5_000
FIRST_ADDRESS = 0x7F020001  # 127.2.0.1
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CLOSE_FRAME = b"\x88\x82\x00\x00\x00\x00\x03\xe8"


async def visit(port: int, number: int) -> None:
    """Runs one client, from its connection to its end."""
    address = socket.inet_ntoa(struct.pack(">I", FIRST_ADDRESS + number))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    writer.write(UPGRADE)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    request = f'["S{number % SYMBOLS}","S{number * 7 % SYMBOLS}"]'.encode()
    writer.write(bytes((0x81, 0x80 | len(request), 0, 0, 0, 0)) + request)
    await reader.readuntil(b'"seq_id"')
    if number % 2:
        writer.write(CLOSE_FRAME)
        await reader.read()
    writer.transport.abort()


async def visit_all(port: int, numbers: range) -> None:
    """Runs the clients. At most CONCURRENT_CLIENTS run at the same time."""
    remaining = iter(numbers)

    async def visit_next() -> None:
        for number in remaining:
            await asyncio.wait_for(visit(port, number), 60)

    await asyncio.gather(*(visit_next() for _ in range(CONCURRENT_CLIENTS)))


def measure_leftovers(gateway: Served, client: "redis.Redis[bytes]") -> dict[str, float]:
    """Waits until all connections have ended. Returns the figures that clients must not increase."""
    wait_until(lambda: gateway.metric("connections") == 0, 60, "the end of the last client")
    wait_until(lambda: not client.pubsub_channels("prices.*"), 60, "the end of the last group")
    return {
        "resident MB": round(gateway.resident, 1),
        "tasks": gateway.metric("tasks"),
        "connections": gateway.metric("connections"),
        "subscriptions": gateway.metric("subscriptions"),
        "symbols": gateway.metric("symbols"),
        "groups in Redis": len(client.pubsub_channels("prices.*")),
        "open files": len(os.listdir(f"/proc/{gateway.process.pid}/fd")),
    }


def main(arguments: list[str]) -> int:
    connects = int(arguments[0]) if arguments else 100_000
    with (
        RedisServer() as server,
        tempfile.TemporaryDirectory() as folder,
        serve(server, Path(folder), SYMBOLS) as gateway,
    ):
        client = redis.Redis(port=server.port, protocol=2)
        for number in range(SYMBOLS):
            update = wire.Update(f"S{number}", 100.0, time.time_ns() // 1000, 1)
            client.set(wire.stock_key(update.symbol), wire.encode(update))
        asyncio.run(visit_all(gateway.port, range(WARM_UP_CLIENTS)))
        before, started = measure_leftovers(gateway, client), time.monotonic()
        asyncio.run(visit_all(gateway.port, range(WARM_UP_CLIENTS, WARM_UP_CLIENTS + connects)))
        seconds = time.monotonic() - started
        after = measure_leftovers(gateway, client)
        print(f"{connects:,} clients connected and left in {seconds:.0f} s, {connects / seconds:,.0f} per second.")
        print(f"{'':20}{f'after {WARM_UP_CLIENTS:,}':>14}{f'after {WARM_UP_CLIENTS + connects:,}':>16}")
        for name, value in before.items():
            print(f"{name:20}{value:14,.1f}{after[name]:16,.1f}")
        client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
