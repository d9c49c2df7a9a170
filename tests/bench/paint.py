"""What the first paint of a page costs: `python -m tests.bench.paint [ROWS]` prints a line of JSON.

A page of an account with so many rows, each with a sparkline, rendered in this process by the test client: bytes of
HTML, CPU of rendering, queries; and the scripts that it names, which are all that is loaded before a chart is opened.
"""

import gzip
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from stockwatch.local.redis_server import RedisServer

TIMES = 30


def fill(rows: int) -> Any:
    """An account whose list has so many tickers, with a price, an hour and a day each."""
    from django.contrib.auth.models import User

    from feeds.models import Ticker
    from feeds.wire import Update, encode, stock_key
    from tests.support.browser.market import put_bars
    from watchlist.models import Entry, Watchlist
    from watchlist.prices.quotes import redis_client

    person = User.objects.create_user("bench")
    shown = Watchlist.objects.create(owner=person, name="Main")
    chance = Random(7)
    prices = {f"SYM{number}": round(chance.uniform(20, 2000), 2) for number in range(rows)}
    for place, (symbol, price) in enumerate(prices.items()):
        ticker = Ticker.objects.create(symbol=symbol, name=f"Company number {place}", base_price=round(price * 1.01, 2))
        Entry.objects.create(watchlist=shown, ticker=ticker, position=place)
        redis_client().set(stock_key(symbol), encode(Update(symbol, price, time.time_ns() // 1000, 100_000 + place)))
    put_bars(redis_client(), prices)
    return person


def measure(rows: int) -> dict[str, Any]:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(HTTP_HOST="localhost")
    client.force_login(fill(rows))
    client.get("/")
    with CaptureQueriesContext(connection) as queries:
        body = client.get("/").content
    asked = len(queries)  # counted now: the next request clears the log
    assert body.count(b"<svg class=") >= rows, "rows without a sparkline"
    taken = []
    for _ in range(TIMES):
        spent = time.process_time()
        client.get("/")
        taken.append((time.process_time() - spent) * 1000)
    scripts = find_scripts(body.decode())
    return {
        "rows": rows,
        "html_bytes": len(body),
        "html_gzip_bytes": len(gzip.compress(body, 6)),
        "render_ms": statistics.median(taken),
        "render_least_ms": min(taken),
        "queries": asked,
        "scripts": len(scripts),
        "script_bytes": sum(map(len, scripts)),
        "script_gzip_bytes": sum(len(gzip.compress(script, 6)) for script in scripts),
    }


def find_scripts(page: str) -> list[bytes]:
    """The scripts that a page names, and what it has the browser load ahead of them."""
    from django.conf import settings

    named = re.findall(r'(?:<script[^>]* src|rel="modulepreload" href)="/static/([^"]+)"', page)
    return [Path(settings.BASE_DIR, "static", name).read_bytes() for name in dict.fromkeys(named)]


def main(rows: int) -> None:
    with RedisServer() as server, tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "stockwatch.settings",
            "DATABASE_URL": f"sqlite:///{folder}/paint.sqlite3",
            "REDIS_ADDR": server.address,
            "LOGGER_LEVEL": "error",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        print(json.dumps(measure(rows)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
