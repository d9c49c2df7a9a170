"""Measures how soon clients are live again after `kill -9` of the only gateway: `make bench-reconnect`.

The gateway is started again at once. Each client waits as the page does, at first 0.25 to 0.5 s, and connects to the
same port until it has a price. Each client has its own address. Meanwhile a new page connects every 0.25 s. The delay
of a new page has two parts: from its connect to its first price, and from a price's timestamp to its arrival.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from feeds import wire
from stockwatch.local.redis_server import RedisServer
from tests.bench.draining.__main__ import start_clients
from tests.support.gateway.process import GatewayProcess, make_database

SYMBOLS = ("AAPL", "GOOG", "TSLA", "BRK.B")
PROCESSES = 2
"""The clients run in this many processes."""
PAGE_SECONDS = 0.25
LISTEN_SECONDS = 5.0
MEASURED_SECONDS = 20.0


class NewPages:
    """Pages that connect one after the other. All delays are in seconds."""

    def __init__(self, port: int) -> None:
        self._address = f"ws://127.0.0.1:{port}/ws?batch=1"
        self._tasks: set[asyncio.Task[None]] = set()
        self.first_prices: list[float] = []
        self.delays: list[float] = []

    async def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for number in count():
            if time.monotonic() > end:
                break
            self._tasks.add(asyncio.create_task(self._load(f"127.5.{number // 250}.{number % 250 + 1}")))
            await asyncio.sleep(PAGE_SECONDS)
        await asyncio.gather(*self._tasks)

    async def _load(self, own_address: str) -> None:
        """Connects until the gateway accepts, and listens to prices for LISTEN_SECONDS."""
        while True:
            started = time.monotonic()
            with suppress(OSError, TimeoutError, InvalidHandshake, WebSocketException):
                async with connect(self._address, compression=None, local_addr=(own_address, 0)) as socket:
                    await socket.send(json.dumps(SYMBOLS))
                    await self._listen(socket, started)
                    return
            await asyncio.sleep(PAGE_SECONDS)

    async def _listen(self, socket: Any, started: float) -> None:
        is_first = True
        with suppress(TimeoutError):
            async with asyncio.timeout(LISTEN_SECONDS):
                async for text in socket:
                    updates = [update for update in as_list(json.loads(text)) if "seq_id" in update]
                    if is_first and updates:
                        self.first_prices.append(time.monotonic() - started)
                        is_first = False
                    elif updates:
                        self.delays += [time.time() - update["timestamp"] / 1e6 for update in updates]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def publish(gateway: GatewayProcess, done: Event) -> None:
    """Publishes one update of each symbol per second."""
    for number in count(time.time_ns() // 1_000_000):
        for symbol in SYMBOLS:
            value = wire.encode(wire.Update(symbol, 100.0, time.time_ns() // 1000, number))
            gateway.redis.set(wire.stock_key(symbol), value)
            gateway.redis.publish(wire.channel_name(symbol), value)
        if done.wait(1.0):
            return


def kill_and_restart(gateway: GatewayProcess, pages: NewPages) -> dict[str, float]:
    """Returns the time of the kill and the seconds until the gateway answers again."""
    killed = time.monotonic()
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    figures = {"killed": killed}

    def restart() -> None:
        gateway.start()
        figures["back"] = time.monotonic() - killed

    restarter = Thread(target=restart)
    restarter.start()
    asyncio.run(pages.run(MEASURED_SECONDS))
    restarter.join()
    return figures


def read_figures(clients: list["subprocess.Popen[bytes]"]) -> list[dict[str, Any]]:
    figures = []
    for client in clients:
        client.send_signal(signal.SIGTERM)
        assert client.stdout is not None
        figures.append(json.loads(client.stdout.readline()))
    return figures


def measure(sockets: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, RedisServer() as server:
        folder, done = Path(name), Event()
        # The clients answer no pings.
        timeouts = {"GATEWAY_TIMEOUTS_PING_PERIOD": "59m", "GATEWAY_TIMEOUTS_PONG_WAIT": "60m"}
        limits = {"GATEWAY_MAX_CONNECTIONS": "0", "GATEWAY_RATE_PER_SECOND": "1.0", "GATEWAY_RATE_BURST": "5"}
        gateway = GatewayProcess(folder, make_database(folder), server, "rungateway", **timeouts, **limits)
        publisher, share = Thread(target=publish, args=(gateway, done)), sockets // PROCESSES
        clients: list[subprocess.Popen[bytes]] = []
        try:
            gateway.start()
            publisher.start()
            clients += [start_clients(at * share, share, gateway.port, gateway.port) for at in range(PROCESSES)]
            for client in clients:
                assert client.stdout is not None
                assert client.stdout.readline() == b"live\n"
            pages = NewPages(gateway.port)
            figures = kill_and_restart(gateway, pages)
            found = read_figures(clients)
        finally:
            done.set()
            for client in clients:
                client.kill()
                client.wait()
            gateway.stop()
    moments = sorted(moment - figures["killed"] for client in found for moment in client["live_at"])
    return {
        "sockets": share * PROCESSES,
        "back": figures["back"],
        "live": sum(client["live"] for client in found),
        "half_live": moments[len(moments) // 2],
        "all_live": moments[-1],
        "new_pages": len(pages.first_prices),
        "longest_first_price": max(pages.first_prices),
        "longest_delay": max(pages.delays),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=10_000)
    found = measure(parser.parse_args().sockets)
    print(
        f"{found['sockets']:,} sockets; seconds after the kill: the gateway answers {found['back']:.1f}, half of the "
        f"clients live {found['half_live']:.1f}, the last {found['all_live']:.1f}; {found['live']:,} live at the end. "
        f"{found['new_pages']} new pages: first price after at most {found['longest_first_price']:.2f} s, "
        f"later prices delayed by at most {found['longest_delay']:.2f} s. Load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
