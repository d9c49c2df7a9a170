"""Measures the first paint of a page: `python -m tests.bench.page.paint [ROWS]` prints JSON.

Renders the page in this process, with ROWS rows, a sparkline in each row, and MORE_TICKERS tickers to suggest. The
figures are bytes of HTML, CPU time, number of queries, and size of the scripts that the page names. The page loads
other scripts only when they are needed, for example for a chart.

The CPU time is measured for an account and for a visitor, with the default columns and with all columns. In each of
these cases, the page is rendered again and again without changes. Then the price and the newest minute of each row
change before each rendering.
"""

import gzip
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from stockwatch.local.redis_server import RedisServer

RENDERINGS = 30
MORE_TICKERS = 200


class Market:
    """The tickers SYM0, SYM1, … and MORE0, MORE1, …. Each SYM ticker has a price, bars and a day."""

    def __init__(self, rows: int) -> None:
        from feeds.models import Ticker
        from tests.support.browser.market import put_bars
        from watchlist.prices.quotes import redis_client

        self._rng = Random(7)
        self._redis = redis_client()
        self._prices = {f"SYM{number}": round(self._rng.uniform(20, 2000), 2) for number in range(rows)}
        self._seq_id = 100_000
        names = [*self._prices, *(f"MORE{number}" for number in range(MORE_TICKERS))]
        Ticker.objects.bulk_create(
            Ticker(symbol=symbol, name=f"Company number {place}", base_price=self._prices.get(symbol, 100.0))
            for place, symbol in enumerate(names)
        )
        put_bars(self._redis, self._prices)
        self.put_prices()

    @property
    def symbols(self) -> list[str]:
        return list(self._prices)

    def put_prices(self) -> None:
        from feeds.wire import Update, encode, stock_key

        self._seq_id += 1
        now = time.time_ns() // 1000
        updates = [Update(symbol, price, now, self._seq_id) for symbol, price in self._prices.items()]
        self._redis.mset({stock_key(update.symbol): encode(update) for update in updates})

    def move_prices(self) -> None:
        """Changes the quote and the newest minute of each symbol."""
        from feeds.bar_layout import MINUTES

        minute = int(time.time()) // 60
        pipe = self._redis.pipeline(transaction=False)
        for symbol in self._prices:
            price = self._prices[symbol] = round(self._prices[symbol] * self._rng.uniform(0.999, 1.001), 2)
            slot = MINUTES.pack(minute, (price, price, price, price, 600), (0, 1), (1, 2), 10**9)
            pipe.setrange(MINUTES.key(symbol), MINUTES.offset(minute), slot)
        pipe.execute()
        self.put_prices()


def make_clients(market: Market) -> dict[str, Any]:
    """Returns a dict from the name of a case to its test client. The first list of each client has all symbols."""
    from django.contrib.auth.models import User
    from django.test import Client
    from django.urls import reverse

    from watchlist.page.columns import COLUMNS

    clients = {}
    keys = [column.key for column in COLUMNS if column.key not in {"symbol", "age"}]
    for case in ("account", "account, all columns", "visitor", "visitor, all columns"):
        client = clients[case] = Client(HTTP_HOST="localhost")
        if case.startswith("account"):
            client.force_login(User.objects.create_user(case))
        client.post(reverse("change-tabs"), {"do": "clear"})
        client.post(reverse("add-symbols"), {"symbol": " ".join(market.symbols)})
        for key in keys if case.endswith("columns") else ():
            client.post(reverse("change-columns"), {"show": key})
        client.get("/")  # shows the sentences about these changes
    return clients


def time_renderings(client: Any, prepare: Callable[[], None]) -> list[float]:
    """Renders the page RENDERINGS times. Returns the CPU times in milliseconds."""
    durations = []
    for _ in range(RENDERINGS):
        prepare()
        started = time.process_time()
        client.get("/")
        durations.append((time.process_time() - started) * 1000)
    return durations


def measure(rows: int) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from watchlist.gateway.sockets.server_tuning import freeze_loaded_objects

    market = Market(rows)
    clients = make_clients(market)
    with CaptureQueriesContext(connection) as queries:
        body = clients["account"].get("/").content
    query_count = len(queries)  # the next request clears the log
    assert body.count(b"<svg class=") >= rows, "rows without a sparkline"
    freeze_loaded_objects()  # as a process that serves sockets does
    unchanged = {case: time_renderings(client, lambda: None) for case, client in clients.items()}
    changed = {case: time_renderings(client, market.move_prices) for case, client in clients.items()}
    scripts = find_scripts(body.decode())
    return {
        "rows": rows,
        "html_bytes": len(body),
        "html_gzip_bytes": len(gzip.compress(body, 6)),
        "render_ms": statistics.median(changed["account"]),
        "render_least_ms": min(changed["account"]),
        "unchanged_ms": {case: round(statistics.median(durations), 2) for case, durations in unchanged.items()},
        "changed_ms": {case: round(statistics.median(durations), 2) for case, durations in changed.items()},
        "queries": query_count,
        "scripts": len(scripts),
        "script_bytes": sum(map(len, scripts)),
        "script_gzip_bytes": sum(len(gzip.compress(script, 6)) for script in scripts),
    }


def find_scripts(page: str) -> list[bytes]:
    """Returns the contents of the scripts that the HTML of a page names."""
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
