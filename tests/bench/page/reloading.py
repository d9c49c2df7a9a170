"""Measures how page loads at the same moment delay prices: `python -m tests.bench.page.reloading [PAGES]`.

A client is subscribed to FEW symbols with HERTZ updates per second each. Then PAGES accounts with lists of ROWS symbols
load their pages at the same moment, as after a restart of the gateway. A delay is the time from the timestamp of a
price to its receipt by the client. Prints the delays before and during the page loads, and the CPU time of the gateway
per page. Only one page has been loaded before the measurement.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from websockets.asyncio.client import connect

from stockwatch.local.redis_server import RedisServer
from tests.bench.gateway import commit, end, start_on_client_core
from tests.bench.serving import ROOT, Served, serve

PAGES, ROWS, FEW, HERTZ = 200, 50, 4, 20
QUIET_SECONDS = 5
CREATE = """
from django.contrib.auth.models import User
from feeds.models import Ticker
from tests.support.watchlist.web_sessions import open_web_session
from watchlist.models import Entry, Watchlist
Ticker.objects.bulk_create(Ticker(symbol=f"S{n}", name=f"Company number {n}", base_price=150) for n in range(ROWS))
tickers = list(Ticker.objects.all())
users = [User(username=f"person{number}", password="!") for number in range(PAGES)]
for user in User.objects.bulk_create(users):
    watchlist = Watchlist.objects.create(owner=user, name="Main")
    Entry.objects.bulk_create(Entry(watchlist=watchlist, ticker=ticker, position=n) for n, ticker in enumerate(tickers))
    print(open_web_session(user))
"""


def create_accounts(folder: Path, pages: int) -> list[str]:
    """Creates tickers and accounts with lists. Returns the key of a web session of each account."""
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3", "LOGGER_LEVEL": "error"}
    code = CREATE.replace("PAGES", str(pages)).replace("ROWS", str(ROWS))
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", code]
    output = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    return output.split()


async def receive(port: int, delays: list[float]) -> None:
    """Adds the delay of each received price to `delays`, in milliseconds, until the task is cancelled."""
    symbols = json.dumps([f"S{number}" for number in range(FEW)])
    async with connect(f"ws://127.0.0.1:{port}/ws", compression=None) as socket:
        await socket.send(symbols)
        async for text in socket:
            received = time.time() * 1000
            update = json.loads(text)
            if "type" not in update:
                delays.append(received - update["timestamp"] / 1000)


async def load_page(port: int, session: str) -> float:
    """Loads the page of an account. Returns the time when the page was complete."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: sessionid={session}\r\n\r\n"
    writer.write(head.encode())
    body = await reader.read(-1)
    writer.close()
    assert body.count(b"<tr data-symbol=") == ROWS, body[:300]
    return time.monotonic()


async def measure(gateway: Served, sessions: list[str]) -> None:
    before: list[float] = []
    task = asyncio.ensure_future(receive(gateway.port, before))
    await load_page(gateway.port, sessions[0])
    await asyncio.sleep(1)
    before.clear()
    await asyncio.sleep(QUIET_SECONDS)
    quiet = sorted(before)
    before.clear()
    started, cpu = time.monotonic(), gateway.cpu
    done = await asyncio.gather(*(load_page(gateway.port, session) for session in sessions))
    during, used = sorted(before), gateway.cpu - cpu
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    for name, delays in (("before", quiet), (f"{len(sessions)} pages", during)):
        p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
        print(f"{name:10} prices {len(delays):4}  delay p50 {p50:6.1f}  p99 {p99:6.1f}  longest {delays[-1]:6.1f} ms")
    print(f"all pages complete after {max(done) - started:.2f} s; {used * 1000 / len(sessions):.1f} ms of CPU per page")


def main(pages: int) -> None:
    with RedisServer() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serve(server, folder, ROWS, core=0) as gateway:
            sessions = create_accounts(folder, pages)
            arguments = [str(server.port), str(ROWS), str(HERTZ), "86400", "walk"]
            publisher = start_on_client_core([sys.executable, "-m", "tests.bench.publisher", *arguments])
            try:
                asyncio.run(measure(gateway, sessions))
            finally:
                end(publisher)
    print(f"{commit()}; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PAGES)
