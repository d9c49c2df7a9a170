"""The case `refused`: an exchange refuses all connections for ten minutes, then accepts connections again."""

import time
from typing import Any

from tests.bench.feed.day import wait_subscribed
from tests.bench.feed.stand import Stand
from tests.exchanges.kraken import KrakenExchange
from tests.support.waiting import wait_until

MAX_CONNECTS = 40
"""The maximum number of attempts to connect that the feeder may make in ten minutes."""


def run(stand: Stand, symbols: int, seconds: float) -> dict[str, Any]:
    """Runs the case `refused`. Returns the figures."""
    names = [f"T{number:02}/USD" for number in range(symbols)]
    stand.add_tickers("kraken", *names)
    with KrakenExchange(names) as exchange:
        exchange.set_fault("refuse_connects")
        feeder = stand.start("runfeed", "kraken", **exchange.settings())
        wait_until(lambda: exchange.connects, 120, "the first attempt")
        time.sleep(seconds)
        connects, cpu = exchange.connects, feeder.cpu_seconds
        exchange.clear_fault("refuse_connects")
        wait_subscribed(exchange)
        wait_until(lambda: feeder.logged("Kraken available again"), 60, "the end of the outage in the log")
        lines = [line["event"] for line in feeder.logged("Kraken")]
        warnings = [line["event"] for line in feeder.logged("") if line.get("level") not in ("info", "debug")]
        status = feeder.end()
    is_quiet = lines == ["Kraken unavailable", "Kraken available again"]
    return {
        "seconds": seconds,
        "connects": connects,
        "connects_after": exchange.connects - connects,
        "cpu_seconds": cpu,
        "log_lines": lines,
        "warnings": warnings,
        "status": status,
        "met": connects <= MAX_CONNECTS and is_quiet and status == 0,
    }
