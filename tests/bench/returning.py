"""Measures how soon pages reconnect to a restarted gateway: `python -m tests.bench.returning [--pages 200]`.

The default limits on connections apply. The waits between attempts are those of static/watchlist/socket.js. There are
three cases:

- A trusted proxy forwards the address of each page.
- Pages share an address. Each page is signed in to its own account.
- Pages share an address and are visitors. The limit of the address applies to all pages together.

With `--rolling`, a gateway has two processes, which are restarted one after the other. With `--rotation`, one of two
processes is killed and replaced. The gateway closes each socket after at most a second, so that pages also connect to
the new process. With `--rolling` and with `--rotation`, the measured time is the time that a page has no socket.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from stockwatch.local.redis_server import RedisServer
from tests.support.gateway.process import ROOT, SYMBOLS, GatewayProcess, count_listeners, find_workers, make_database
from tests.support.waiting import until, wait_until

SOCKET = (ROOT / "static" / "watchlist" / "socket.js").read_text()
FIRST_DELAY, LONGEST_DELAY = (
    int(re.search(rf"const {name} = (\d+);", SOCKET)[1]) / 1000 for name in ("FIRST_DELAY_MS", "MAX_DELAY_MS")
)
GENEROUS = {"GATEWAY_RATE_PER_SECOND": "1000", "GATEWAY_RATE_BURST": "1000", "GATEWAY_MAX_PER_ADDRESS": "0"}
DEFAULT = {"GATEWAY_RATE_PER_SECOND": "1.0", "GATEWAY_RATE_BURST": "5"}
SIGN_IN = """
from django.contrib.auth.models import User
from tests.support.watchlist.web_sessions import open_web_session
users = [User(username=f"person{number}", password="!") for number in range(PAGES)]
for user in User.objects.bulk_create(users):
    print(open_web_session(user))
"""
PROCESSES = 2
TIMEOUT_SECONDS = 30.0
"""A page counts as lost if the page is not live again after this time."""


class Page:
    """A client that reconnects as the page does.

    `live` is the time when the gateway answered the subscription of the open socket; None before the answer.
    `last_live` is the time of the newest answer on any socket; 0 before the first. `newest` maps each symbol to its
    newest seq_id. `older` is the number of updates with a lower seq_id. `losses` holds a pair for each loss of the
    socket: the seconds without a socket, and how many of these seconds were waits before attempts.
    """

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        self._address = address
        self._headers = headers
        self._attempt = 0
        self.live: float | None = None
        self.last_live = 0.0
        self.attempts = 0
        self.newest: dict[str, int] = {}
        self.older = 0
        self.losses: list[tuple[float, float]] = []

    async def run(self) -> None:
        """Connects, and reconnects after each loss, until the task is cancelled."""
        lost, waited = 0.0, 0.0
        while True:
            self.attempts += 1
            with suppress(OSError, TimeoutError, InvalidHandshake, WebSocketException):
                async with connect(self._address, additional_headers=self._headers, compression=None) as socket:
                    symbols = {"symbols": list(SYMBOLS), "options": {"mode": "latest", "max_hz": 4}}
                    await socket.send(json.dumps({"action": "subscribe", "payload": symbols, "id": "s1"}))
                    async for text in socket:
                        if text.startswith("["):
                            self._note({update["symbol"]: update["seq_id"] for update in json.loads(text)})
                        elif self.live is None and '"type":"ack"' in text:
                            self.live = self.last_live = time.monotonic()
                            self._attempt = 0
                            if lost:
                                self.losses.append((self.live - lost, waited))
            if self.live is not None:
                lost, waited = time.monotonic(), 0.0
            self.live = None
            longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self._attempt, 10))
            self._attempt += 1
            wait = longest / 2 + random.random() * longest / 2
            waited += wait
            await asyncio.sleep(wait)

    def _note(self, numbers: dict[str, int]) -> None:
        self.older += sum(number < self.newest.get(symbol, 0) for symbol, number in numbers.items())
        self.newest |= numbers


async def restart(pages: list[Page], gateway: GatewayProcess, seconds: float) -> dict[str, float]:
    """Kills the gateway and starts it again. Returns counts of pages, and times in seconds since the kill."""
    tasks = [asyncio.ensure_future(page.run()) for page in pages]
    await until(lambda: all(page.live for page in pages), 60, "the first connections")
    gateway.variables |= DEFAULT
    killed = time.monotonic()
    gateway.signal(signal.SIGKILL)
    await asyncio.to_thread(gateway.wait)
    await until(lambda: not any(page.live for page in pages), 10, "the loss")
    attempts = sum(page.attempts for page in pages)
    await asyncio.to_thread(gateway.start)
    back = time.monotonic() - killed
    with suppress(AssertionError):  # The figures count the pages that are not live.
        await until(lambda: all(page.live for page in pages), seconds)
    live = sorted(page.live - killed for page in pages if page.live)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "gateway_back": back,
        "live_within_10": sum(moment <= 10 for moment in live),
        "live": len(live),
        "half": live[len(live) // 2] if live else seconds,
        "last": live[-1] if live else seconds,
        "attempts": sum(page.attempts for page in pages) - attempts,
    }


async def roll(pages: list[Page], gateway: GatewayProcess, stop_publisher: Callable[[], None]) -> dict[str, float]:
    """Ends the processes of the gateway one after the other. Waits after each end until a new process has started."""
    tasks = [asyncio.ensure_future(page.run()) for page in pages]
    await until(lambda: all(page.live for page in pages), 60, "the first connections")
    for victim in find_workers(gateway):
        os.kill(victim, signal.SIGTERM)
        await asyncio.to_thread(wait_until, partial(is_replaced, victim, gateway), 60, "the next process")
        await until(lambda: all(page.live for page in pages), 60, "the return of all pages")
    return await finish(pages, tasks, gateway, stop_publisher)


async def rotate(pages: list[Page], gateway: GatewayProcess, stop_publisher: Callable[[], None]) -> dict[str, float]:
    """Kills one process of the gateway. Waits until both processes have sockets again.

    Also waits until each page has lost at least two sockets because of their age.
    """
    tasks = [asyncio.ensure_future(page.run()) for page in pages]
    # Some pages are always between two sockets, so all of them are hardly ever live at the same time.
    await until(lambda: all(page.last_live for page in pages), 60, "the first connections")
    victim = find_workers(gateway)[0]
    os.kill(victim, signal.SIGKILL)
    await asyncio.to_thread(wait_until, partial(is_replaced, victim, gateway), 60, "the next process")
    replaced = time.monotonic()
    await until(lambda: all(page.last_live > replaced for page in pages), 60, "the return of all pages")
    for page in pages:
        page.losses.clear()
    await until(lambda: all(len(page.losses) >= 2 for page in pages), 60, "the rotation of all pages")
    await asyncio.to_thread(
        wait_until, lambda: len(find_serving(gateway)) == PROCESSES, 60, "sockets of both processes"
    )
    return await finish(pages, tasks, gateway, stop_publisher)


async def finish(
    pages: list[Page], tasks: list[asyncio.Task[None]], gateway: GatewayProcess, stop_publisher: Callable[[], None]
) -> dict[str, float]:
    """Waits until all pages have the last update of each symbol. Ends the pages. Returns the figures of all losses."""
    await asyncio.to_thread(stop_publisher)
    last = {symbol: gateway.publish(symbol).seq_id for symbol in SYMBOLS}
    with suppress(AssertionError):  # The figures count the pages that lack the last update.
        await until(lambda: all(page.newest == last for page in pages), 30)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    losses = sorted(loss for page in pages for loss in page.losses)
    return {
        "pages": len(pages),
        "lost": sum(bool(page.losses) for page in pages),
        "newest": sum(page.newest == last for page in pages),
        "older": sum(page.older for page in pages),
        "losses": len(losses),
        "half": losses[len(losses) // 2][0],
        "longest": losses[-1][0],
        "waited": losses[-1][1],
        "beyond": max(seconds - waited for seconds, waited in losses),
        "twice": sum(waited > FIRST_DELAY for _, waited in losses),
    }


def is_replaced(victim: int, gateway: GatewayProcess) -> bool:
    """Returns whether the process `victim` has ended and a new process listens."""
    workers = find_workers(gateway)
    return victim not in workers and len(workers) == count_listeners(gateway) == PROCESSES


def find_serving(gateway: GatewayProcess) -> set[str]:
    """Returns the ids of the processes that hold a connection of a client."""
    command = ["ss", "-tnpH", "state", "established", f"sport = :{gateway.port}"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"pid=(\d+)", output))


def roll_case(count: int) -> dict[str, float]:
    """Runs `roll` for `count` pages."""
    return two_process_case(roll, count)


def rotation_case(count: int) -> dict[str, float]:
    """Runs `rotate` for `count` pages. The gateway closes each socket after at most a second."""
    return two_process_case(rotate, count, GATEWAY_MAX_AGE="1s")


def two_process_case(
    run: Callable[[list[Page], GatewayProcess, Callable[[], None]], Awaitable[dict[str, float]]],
    count: int,
    **more: str,
) -> dict[str, float]:
    """Runs a case for `count` pages on a gateway of two processes, while prices are published.

    The pages have different addresses behind a proxy.
    """
    case = "own addresses behind a proxy"
    with tempfile.TemporaryDirectory() as name, RedisServer() as redis:
        folder = Path(name)
        proxy = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.0/8"}
        variables = DEFAULT | proxy | {"GATEWAY_PROCESSES": str(PROCESSES)} | more
        gateway = GatewayProcess(folder, make_database(folder), redis, "rungateway", **variables)
        done = Event()
        publisher = Thread(target=publish, args=(gateway, done))

        def stop_publisher() -> None:
            done.set()
            publisher.join()

        try:
            gateway.start()
            publisher.start()
            wait_until(lambda: count_listeners(gateway) == PROCESSES, 30)
            address = f"ws://{gateway.address}/ws?meta=1&batch=1&heartbeat=15"
            pages = [Page(address, make_headers(case, number, gateway, [])) for number in range(count)]
            return asyncio.run(run(pages, gateway, stop_publisher))  # type: ignore[arg-type]
        finally:
            done.set()
            gateway.stop()


def sign_in(gateway: GatewayProcess, count: int) -> list[str]:
    """Creates accounts. Returns the key of a web session of each account."""
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", SIGN_IN.replace("PAGES", str(count))]
    output = subprocess.run(
        command, cwd=ROOT, env=os.environ | gateway.variables, capture_output=True, text=True, check=True
    )
    return output.stdout.split()


def make_headers(case: str, number: int, gateway: GatewayProcess, keys: list[str]) -> dict[str, str]:
    if case == "own addresses behind a proxy":
        return {"X-Forwarded-For": f"203.0.113.{number % 250}, 198.51.{number // 250}.{number % 250}"}
    if case == "accounts at one address":
        return {"Cookie": f"sessionid={keys[number]}", "Origin": f"http://{gateway.address}"}
    return {}


def restart_case(case: str, count: int, seconds: float = TIMEOUT_SECONDS) -> dict[str, float]:
    """Runs `restart` for one case, with a new Redis, database and gateway."""
    with tempfile.TemporaryDirectory() as name, RedisServer() as redis:
        folder = Path(name)
        gateway = GatewayProcess(
            folder, make_database(folder), redis, "rungateway", GATEWAY_TRUSTED_PROXIES="127.0.0.0/8", **GENEROUS
        )
        keys = sign_in(gateway, count) if case.startswith("accounts") else []
        done = Event()
        publisher = Thread(target=publish, args=(gateway, done))
        try:
            gateway.start()
            publisher.start()
            address = f"ws://{gateway.address}/ws?meta=1&batch=1&heartbeat=15"
            pages = [Page(address, make_headers(case, number, gateway, keys)) for number in range(count)]
            return asyncio.run(restart(pages, gateway, seconds))
        finally:
            done.set()
            publisher.join()
            gateway.stop()


def publish(gateway: GatewayProcess, done: Event) -> None:
    """Publishes an update of each symbol every 0.1 s until `done` is set."""
    while not done.wait(0.1):
        for symbol in SYMBOLS:
            gateway.publish(symbol)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--rolling", action="store_true", help="restart two processes one after the other")
    parser.add_argument("--rotation", action="store_true", help="close each socket after a second or less")
    arguments = parser.parse_args()
    count = arguments.pages
    if arguments.rolling or arguments.rotation:
        result = rotation_case(count) if arguments.rotation else roll_case(count)
        event = "sockets rotated" if arguments.rotation else "restarted one after the other"
        print(
            f"{count} pages, {PROCESSES} processes, {event}: {result['losses']:.0f} sockets lost, "
            f"half back within {result['half']:.2f} s, the last after {result['longest']:.2f}, of which "
            f"{result['waited']:.2f} were its own wait; {result['twice']:.0f} needed a second attempt; no loss was "
            f"more than {result['beyond']:.3f} s longer than its wait; newest price with {result['newest']:.0f} pages"
        )
        return
    print(f"{count} pages, seconds from the kill; waits from {FIRST_DELAY} to {LONGEST_DELAY} s as in socket.js")
    for case in ("own addresses behind a proxy", "accounts at one address", "visitors at one address"):
        result = restart_case(case, count)
        print(
            f"{case:<29} gateway back {result['gateway_back']:4.1f}  half live {result['half']:5.1f}  "
            f"last {result['last']:5.1f}  live within 10 s {result['live_within_10']:.0f}  "
            f"within {TIMEOUT_SECONDS:g} s {result['live']:.0f}  attempts after the kill {result['attempts']:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
