"""How soon the pages of a gateway that was killed are live again: `python -m tests.bench.returning [--pages 200]`.

All come from one address, with the default limits on connections, and wait between tries as static/watchlist/socket.js
does. Three cases: a proxy that the gateway trusts forwards their own addresses; they share an address and are signed
in, each to an account of its own; they share an address and nobody is signed in, whom the address's limit then meets.
With `--rolling` one process of two is ended after the other instead, and how long pages were without a socket is told.
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
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from stockwatch.local.redis_server import RedisServer
from tests.support.gateway.process import ROOT, SYMBOLS, GatewayProcess, children, listeners, make_database
from tests.support.waiting import until, wait_until

SOCKET = (ROOT / "static" / "watchlist" / "socket.js").read_text()
FIRST_DELAY, LONGEST_DELAY = (
    int(re.search(rf"const {name} = (\d+);", SOCKET)[1]) / 1000 for name in ("FIRST_DELAY_MS", "MAX_DELAY_MS")
)
GENEROUS = {"GATEWAY_RATE_PER_SECOND": "1000", "GATEWAY_RATE_BURST": "1000"}
DEFAULT = {"GATEWAY_RATE_PER_SECOND": "1.0", "GATEWAY_RATE_BURST": "5"}
SIGN_IN = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
users = [User(username=f"person{number}", password="!") for number in range(PAGES)]
for user in User.objects.bulk_create(users):
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    print(session.session_key)
"""
PROCESSES = 2
PATIENCE = 30.0
"""Seconds after which who is not live again is counted as such."""


class Page:
    """One client; `live` is when its newest subscription was answered, None while it has none.

    `newest` is what it heard last of each symbol, `losses` how long it was without a socket each time, in seconds, and
    how much of that it waited by itself.
    """

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        self._address = address
        self._headers = headers
        self._attempt = 0
        self.live: float | None = None
        self.tries = 0
        self.newest: dict[str, int] = {}
        self.losses: list[tuple[float, float]] = []

    async def stay(self) -> None:
        """Until it is cancelled: connects, is lost, waits, comes back."""
        lost, waited = 0.0, 0.0
        while True:
            self.tries += 1
            with suppress(OSError, TimeoutError, InvalidHandshake, WebSocketException):
                async with connect(self._address, additional_headers=self._headers, compression=None) as socket:
                    symbols = {"symbols": list(SYMBOLS), "options": {"mode": "latest", "max_hz": 4}}
                    await socket.send(json.dumps({"action": "subscribe", "payload": symbols, "id": "s1"}))
                    async for text in socket:
                        if text.startswith("["):
                            self.newest |= {update["symbol"]: update["seq_id"] for update in json.loads(text)}
                        elif self.live is None and '"type":"ack"' in text:
                            self.live, self._attempt = time.monotonic(), 0
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


async def restart(pages: list[Page], gateway: GatewayProcess, patience: float) -> dict[str, float]:
    """Kills the gateway under its pages and starts it again; seconds from the kill."""
    tasks = [asyncio.ensure_future(page.stay()) for page in pages]
    await until(lambda: all(page.live for page in pages), 60, "the first connections")
    gateway._variables |= DEFAULT
    killed = time.monotonic()
    gateway.signal(signal.SIGKILL)
    await asyncio.to_thread(gateway.wait)
    await until(lambda: not any(page.live for page in pages), 10, "the loss")
    tries = sum(page.tries for page in pages)
    await asyncio.to_thread(gateway.start)
    back = time.monotonic() - killed
    with suppress(AssertionError):  # who is not live again is told in the figures
        await until(lambda: all(page.live for page in pages), patience)
    live = sorted(page.live - killed for page in pages if page.live)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "gateway_back": back,
        "live_within_10": sum(moment <= 10 for moment in live),
        "live": len(live),
        "half": live[len(live) // 2] if live else patience,
        "last": live[-1] if live else patience,
        "tries": sum(page.tries for page in pages) - tries,
    }


async def roll(pages: list[Page], gateway: GatewayProcess, end_prices: Callable[[], None]) -> dict[str, float]:
    """Ends one process of the gateway after the other, each when the one before it is replaced, under its pages."""
    tasks = [asyncio.ensure_future(page.stay()) for page in pages]
    await until(lambda: all(page.live for page in pages), 60, "the first connections")
    for victim in children(gateway):
        os.kill(victim, signal.SIGTERM)
        await asyncio.to_thread(wait_until, partial(is_replaced, victim, gateway), 60, "the next process")
        await until(lambda: all(page.live for page in pages), 60, "the return of all pages")
    await asyncio.to_thread(end_prices)
    last = {symbol: gateway.publish(symbol).seq_id for symbol in SYMBOLS}
    with suppress(AssertionError):  # who has not is told in the figures
        await until(lambda: all(page.newest == last for page in pages), 30)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    away = sorted(loss for page in pages for loss in page.losses)
    return {
        "pages": len(pages),
        "lost": sum(bool(page.losses) for page in pages),
        "newest": sum(page.newest == last for page in pages),
        "losses": len(away),
        "half": away[len(away) // 2][0],
        "longest": away[-1][0],
        "waited": away[-1][1],
        "beyond": max(seconds - waited for seconds, waited in away),
        "twice": sum(waited > FIRST_DELAY for _, waited in away),
    }


def is_replaced(victim: int, gateway: GatewayProcess) -> bool:
    found = children(gateway)
    return victim not in found and len(found) == listeners(gateway) == PROCESSES


def roll_case(count: int) -> dict[str, float]:
    """So many pages, each behind a proxy at an address of its own, and prices throughout."""
    case = "own addresses behind a proxy"
    with tempfile.TemporaryDirectory() as name, RedisServer() as redis:
        folder = Path(name)
        variables = DEFAULT | {"GATEWAY_TRUSTED_PROXIES": "127.0.0.0/8", "GATEWAY_PROCESSES": str(PROCESSES)}
        gateway = GatewayProcess(folder, make_database(folder), redis, "rungateway", **variables)
        done = Event()
        publisher = Thread(target=publish, args=(gateway, done))

        def end_prices() -> None:
            done.set()
            publisher.join()

        try:
            gateway.start()
            publisher.start()
            wait_until(lambda: listeners(gateway) == PROCESSES, 30)
            address = f"ws://{gateway.address}/ws?meta=1&batch=1&heartbeat=15"
            pages = [Page(address, headers_of(case, number, gateway, [])) for number in range(count)]
            return asyncio.run(roll(pages, gateway, end_prices))
        finally:
            done.set()
            gateway.stop()


def sign_in(gateway: GatewayProcess, count: int) -> list[str]:
    """The keys of so many sessions, each of an account of its own."""
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", SIGN_IN.replace("PAGES", str(count))]
    output = subprocess.run(
        command, cwd=ROOT, env=os.environ | gateway._variables, capture_output=True, text=True, check=True
    )
    return output.stdout.split()


def headers_of(case: str, number: int, gateway: GatewayProcess, keys: list[str]) -> dict[str, str]:
    if case == "own addresses behind a proxy":
        return {"X-Forwarded-For": f"203.0.113.{number % 250}, 198.51.{number // 250}.{number % 250}"}
    if case == "accounts at one address":
        return {"Cookie": f"sessionid={keys[number]}", "Origin": f"http://{gateway.address}"}
    return {}


def restart_case(case: str, count: int, patience: float = PATIENCE) -> dict[str, float]:
    """One case, on a Redis, a database and a gateway of its own."""
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
            pages = [Page(address, headers_of(case, number, gateway, keys)) for number in range(count)]
            return asyncio.run(restart(pages, gateway, patience))
        finally:
            done.set()
            publisher.join()
            gateway.stop()


def publish(gateway: GatewayProcess, done: Event) -> None:
    while not done.wait(0.1):
        for symbol in SYMBOLS:
            gateway.publish(symbol)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--rolling", action="store_true", help="end one of two processes after the other instead")
    arguments = parser.parse_args()
    count = arguments.pages
    if arguments.rolling:
        found = roll_case(count)
        print(
            f"{count} pages, one of {PROCESSES} processes after the other: {found['losses']:.0f} sockets lost, "
            f"half back within {found['half']:.2f} s, the last after {found['longest']:.2f}, of which it waited "
            f"{found['waited']:.2f} by itself; {found['twice']:.0f} needed a second try, no loss went "
            f"more than {found['beyond']:.3f} s beyond its wait; newest price with {found['newest']:.0f}"
        )
        return
    print(f"{count} pages, seconds from the kill; waits from {FIRST_DELAY} to {LONGEST_DELAY} s as in socket.js")
    for case in ("own addresses behind a proxy", "accounts at one address", "visitors at one address"):
        found = restart_case(case, count)
        print(
            f"{case:<29} gateway back {found['gateway_back']:4.1f}  half live {found['half']:5.1f}  "
            f"last {found['last']:5.1f}  live within 10 s {found['live_within_10']:.0f}  "
            f"within {PATIENCE:g} s {found['live']:.0f}  tries after the kill {found['tries']:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
