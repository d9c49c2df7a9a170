"""The case `kills`: the feeder is killed (SIGKILL) twenty times in a minute under load."""

import signal
import threading
import time
from random import Random
from typing import Any

from tests.bench.feed.day import wait_subscribed
from tests.bench.feed.stand import MeasuredProcess, Stand
from tests.exchanges.kraken import KrakenExchange
from tests.exchanges.market import RandomMarket
from tests.support.waiting import wait_until

STEP_SECONDS = 0.02
COUNTERS = ("trades", "repeats", "gaps", "missed", "fetched", "unfilled", "jumps")


class Load(threading.Thread):
    """Makes trades at an even pace until `stop` is set."""

    def __init__(self, exchange: KrakenExchange, rate: float) -> None:
        super().__init__(daemon=True)
        self._market, self._rate = RandomMarket(exchange, 3), rate
        self.stop = threading.Event()
        self.made = 0

    def run(self) -> None:
        begin = time.monotonic()
        while not self.stop.wait(STEP_SECONDS):
            due = int((time.monotonic() - begin) * self._rate) - self.made
            self._market.trade(due)
            self.made += due


def kill_repeatedly(stand: Stand, exchange: KrakenExchange, kills: int, seconds: float) -> tuple[MeasuredProcess, int]:
    """Starts feeders one after the other, and kills each feeder at a random moment.

    A feeder is killed only after it has connected. A feeder lives `seconds` seconds on average, or longer if it starts
    slowly. Returns two values: the last feeder, which still runs, and how many of the killed feeders had received
    messages.
    """
    rng, receiving = Random(9), 0
    for _ in range(kills):
        connects, begin = exchange.connects, time.monotonic()
        feeder = stand.start("runfeed", "kraken", **exchange.settings())
        wait_until(lambda connects=connects: exchange.connects > connects, 60, "a connection of the feeder")
        time.sleep(max(seconds - (time.monotonic() - begin), 0.5) * rng.uniform(0, 2))
        receiving += feeder.metric("stockwatch_feed_messages_total") > 0
        feeder.end(signal.SIGKILL)
    return stand.start("runfeed", "kraken", **exchange.settings()), receiving


def run(stand: Stand, rate: float, symbols: int, kills: int, seconds: float) -> dict[str, Any]:
    """Runs the case `kills`. Returns the figures."""
    names = [f"T{number:02}/USD" for number in range(symbols)]
    stand.add_tickers("kraken", *names)
    with KrakenExchange(names) as exchange:
        processor, recorder = stand.start("runprocessor"), stand.start("runrecorder")
        observer = stand.observe("prices.*")
        first = stand.start("runfeed", "kraken", **exchange.settings())
        wait_subscribed(exchange)
        load = Load(exchange, rate)
        load.start()
        observer.wait_for_trades(symbols)
        first.end(signal.SIGKILL)
        begin = time.monotonic()
        feeder, receiving = kill_repeatedly(stand, exchange, kills, seconds / kills)
        took = time.monotonic() - begin
        time.sleep(10)
        load.stop.set()
        load.join()
        observer.wait_for_trades(load.made)
        figures = {name: int(feeder.metric(f"stockwatch_feed_{name}_total")) for name in COUNTERS}
        observed = stand.finish(feeder, processor, recorder, trades=load.made, observer=observer)
        exchange.ledger.write_csv(stand.folder / "ledger.csv")
    return {
        "seconds": took,
        "kills": kills + 1,
        "killed_after_messages": receiving + 1,
        "connects": exchange.connects,
        "last_feeder": figures,
        "observed": observed,
    }
