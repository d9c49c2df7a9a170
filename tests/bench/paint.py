"""Measures the first paint of a page: `python -m tests.bench.paint [ROWS]` prints JSON.

Renders the page of an account in this process. The page has ROWS rows, each with a sparkline. The figures are bytes of
HTML, CPU time, number of queries, and size of the scripts that the page names. Other scripts are loaded only when a
chart is opened.
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

RENDERINGS = 30


def create_account(rows: int) -> Any:
    """Creates an account with a list of `rows` tickers. Returns the user.

    Each ticker has a price, bars and a day.
    """
    from django.contrib.auth.models import User

    from feeds.models import Ticker
    from feeds.wire import Update, encode, stock_key
    from tests.support.browser.market import put_bars
    from watchlist.models import Entry, Watchlist
    from watchlist.prices.quotes import redis_client

    user = User.objects.create_user("bench")
    watchlist = Watchlist.objects.create(owner=user, name="Main")
    rng = Random(7)
    prices = {f"SYM{number}": round(rng.uniform(20, 2000), 2) for number in range(rows)}
    for position, (symbol, price) in enumerate(prices.items()):
        ticker = Ticker.objects.create(
            symbol=symbol, name=f"Company number {position}", base_price=round(price * 1.01, 2)
        )
        Entry.objects.create(watchlist=watchlist, ticker=ticker, position=position)
        redis_client().set(stock_key(symbol), encode(Update(symbol, price, time.time_ns() // 1000, 100_000 + position)))
    put_bars(redis_client(), prices)
    return user


def measure(rows: int) -> dict[str, Any]:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(HTTP_HOST="localhost")
    client.force_login(create_account(rows))
    client.get("/")
    with CaptureQueriesContext(connection) as queries:
        body = client.get("/").content
    query_count = len(queries)  # the next request clears the log
    assert body.count(b"<svg class=") >= rows, "rows without a sparkline"
    durations = []
    for _ in range(RENDERINGS):
        started = time.process_time()
        client.get("/")
        durations.append((time.process_time() - started) * 1000)
    scripts = find_scripts(body.decode())
    return {
        "rows": rows,
        "html_bytes": len(body),
        "html_gzip_bytes": len(gzip.compress(body, 6)),
        "render_ms": statistics.median(durations),
        "render_least_ms": min(durations),
        "queries": query_count,
        "scripts": len(scripts),
        "script_bytes": sum(map(len, scripts)),
        "script_gzip_bytes": sum(len(gzip.compress(script, 6)) for script in scripts),
    }


def find_scripts(page: str) -> list[bytes]:
    """Returns the contents of the scripts that a page names or preloads."""
    from django.conf import settings

    names = re.findall(r'(?:<script[^>]* src|rel="modulepreload" href)="/static/([^"]+)"', page)
    return [Path(settings.BASE_DIR, "static", name).read_bytes() for name in dict.fromkeys(names)]


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
