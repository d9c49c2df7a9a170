"""The case `day`: plays a day of trades with faults in a few minutes.

The faults are cuts, repeats, late trades and a mute hour. The trades have timestamps of yesterday. The played day
passes `factor` times as fast as real time. The times of the faults are times of the played day. Because the feeder must
make more HTTP requests per second, the pause between requests is divided by `factor`. All other waits of the feeder
(retries, silence, missed trades) have their usual length.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from tests.bench.feed.stand import Stand
from tests.exchanges.kraken import KrakenExchange
from tests.exchanges.server import NewTrade
from tests.support.waiting import wait_until

DAY_SECONDS = 86_400
STEP_SECONDS = 0.02
MUTE_HOUR = 13
REPEATING_HOUR = 17
"""In this hour, each message is sent three times."""

MAX_LATE_US = 9_000_000
"""The maximum delay of a late trade: 9 s. The feeder looks for late trades up to 10 s back."""
COMPRESSED = str(Path(__file__).with_name("compressed.py"))


class DayMarket:
    """Random trades of a day.

    About one trade in 20 is late by up to 9 s. About one trade in ten has the symbol and the time of the previous
    trade, as if one order caused both trades.
    """

    def __init__(self, symbols: list[str], count: int, begin: int) -> None:
        self._random = Random(11)
        self._symbols, self._count, self._begin = symbols, count, begin
        self._cents = {symbol: 10_000 + 100 * number for number, symbol in enumerate(symbols)}

    def trades(self) -> Iterator[NewTrade]:
        symbol, at = self._symbols[0], self._begin
        for number in range(self._count):
            kind = self._random.random()
            if kind > 0.1 or not number:
                symbol = self._random.choice(self._symbols)
                at = self._begin + number * DAY_SECONDS * 1_000_000 // self._count
                at -= self._random.randint(1, MAX_LATE_US) if kind > 0.95 else 0
            self._cents[symbol] = max(self._cents[symbol] + self._random.randint(-9, 9), 100)
            cents, units = self._cents[symbol], self._random.randint(1, 10**9)
            yield symbol, f"{cents // 100}.{cents % 100:02}", f"{units // 10**8}.{units % 10**8:08}", at


class Faults:
    """Plays the faults of the day. `cuts` is the number of cuts.

    The cuts are at equal distances. Each sixth cut is an outage: the exchange accepts no connection until half the time
    to the next cut has passed. After any other cut, Kraken's snapshot of 50 trades contains all missed trades.
    Therefore the feeder fetches trades only after an outage.
    """

    def __init__(self, exchange: KrakenExchange, cuts: int) -> None:
        self._exchange, self._cuts = exchange, cuts
        self._random = Random(5)
        self.cut = 0
        self.sent_again = 0

    def follow(self, part: float) -> None:
        """Plays the faults that are due. `part` is the part of the day that has passed, from 0 to 1."""
        hour = part * 24
        self._switch("mute", MUTE_HOUR <= hour < MUTE_HOUR + 1)
        self._switch("every_message_three_times", REPEATING_HOUR <= hour < REPEATING_HOUR + 1)
        if part * self._cuts >= self.cut + 1:
            self.cut += 1
            self._exchange.set_fault("outage") if self.cut % 6 == 0 else self._exchange.cut()
        elif part * self._cuts >= self.cut + 0.5:
            self._exchange.clear_fault("outage")
        if self._random.random() < 0.05:
            symbol = self._random.choice(self._exchange.symbols)
            again = self._exchange.ledger.newest(symbol, 300)
            self._exchange.send_again(again[:20])
            self.sent_again += len(again[:20])

    def _switch(self, name: str, wanted: bool) -> None:
        if wanted and name not in self._exchange.faults:
            self._exchange.set_fault(name)
        elif not wanted and name in self._exchange.faults:
            self._exchange.clear_fault(name)


def wait_subscribed(exchange: KrakenExchange) -> None:
    symbols = set(exchange.symbols)
    wait_until(lambda: any(client.subscribed("trade") >= symbols for client in list(exchange.clients)), 120)


def play(exchange: KrakenExchange, market: DayMarket, faults: Faults, count: int, seconds: float) -> float:
    """Makes the trades at an even pace. Returns the duration in seconds."""
    trades, made, begin = market.trades(), 0, time.monotonic()
    while made < count:
        due = min(int((time.monotonic() - begin) / seconds * count) + 1, count)
        if due > made:
            exchange.trades([next(trades) for _ in range(due - made)])
            made = due
        faults.follow(made / count)
        time.sleep(STEP_SECONDS)
    exchange.clear_fault("outage")  # the last cut may be one
    return time.monotonic() - begin


def run(stand: Stand, count: int, symbols: int, seconds: float, cuts: int) -> dict[str, Any]:
    """Runs the case `day`. Returns the figures."""
    names = [f"T{number:02}/USD" for number in range(symbols)]
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    factor = DAY_SECONDS / seconds
    stand.add_tickers("kraken", *names)
    with KrakenExchange(names) as exchange:
        commands = [
            stand.start("runfeed", program=[COMPRESSED, str(factor), "runfeed", "kraken"], **exchange.settings()),
            stand.start("runprocessor"),
            stand.start("runrecorder"),
        ]
        observer = stand.observe("prices.*")
        wait_subscribed(exchange)
        exchange.set_fault("repeats")
        faults = Faults(exchange, cuts)
        market = DayMarket(names, count, int(midnight.timestamp()) * 1_000_000)
        took = play(exchange, market, faults, count, seconds)
        observer.wait_for_trades(count)
        feeder = commands[0]
        counters = ("trades", "repeats", "gaps", "missed", "fetched", "unfilled", "merged", "jumps", "connects")
        figures = {name: int(feeder.metric(f"stockwatch_feed_{name}_total")) for name in counters}
        cpu = feeder.cpu_seconds
        observed = stand.finish(*commands, trades=count, observer=observer)
        exchange.ledger.write_csv(stand.folder / "ledger.csv")
        requests = sum(request.path.endswith("/Trades") for request in exchange.requests)
    return {
        "seconds": took,
        "factor": factor,
        "cuts": faults.cut,
        "sent_again": faults.sent_again,
        "requests": requests,
        "feeder_cpu_seconds": cpu,
        "feeder": figures,
        "observed": observed,
    }
