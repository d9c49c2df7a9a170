"""The case `rate`: 20,000 trades per second, with and without Kafka.

First, Kafka works. Then all brokers are stopped with SIGSTOP for 30 s. The exchange runs in a separate process, and
sends each trade at the time of its timestamp. A delay is the time from this timestamp to the arrival of the update at a
subscriber of Redis. Therefore a delay includes the time from the exchange to the feeder.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import redis

from tests.bench.feed.stand import MeasuredProcess, Stand
from tests.support.waiting import wait_until

EXCHANGE = "tests.bench.feed.fast_exchange"
COMPRESSED = str(Path(__file__).with_name("compressed.py"))
FACTOR = "100"
"""The feeder fetches trades this many times as fast as Kraken allows."""

WARM_UP_SECONDS = 60.0
"""New brokers compile their code in this time. Compilers and clients share the cores of this machine."""

AFTER_SECONDS = 15.0
MAX_MEGABYTES_MORE = 160.0
"""How much the feeder's memory may grow while Kafka is stopped, in MB. Waiting trades take up to 64 MB of this."""


class FastExchange:
    """The process of the exchange."""

    def __init__(self, stand: Stand, symbols: int) -> None:
        self._folder = stand.folder
        self.process = stand.start("exchange", str(stand.folder), str(symbols), program=["-m", EXCHANGE])
        settings = wait_until(lambda: self._read("exchange.json"), 60, "the exchange")
        self.settings: dict[str, str] = {name: str(value) for name, value in settings.items()}

    @property
    def sent(self) -> dict[str, int]:
        return wait_until(lambda: self._read("sent.json"), 60, "the figures of the exchange")

    def order(self, command: str) -> None:
        assert self.process.process.stdin is not None
        self.process.process.stdin.write(f"{command}\n".encode())
        self.process.process.stdin.flush()

    def write_ledger(self, file: Path) -> None:
        self.order(f"ledger {file}")
        wait_until(file.exists, 120, "the ledger")

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self._folder / name).read_text())
        except (OSError, ValueError):  # not there, or being written
            return {}
        return found


class Subscriber(threading.Thread):
    """Measures the delays of the updates of one symbol, in ms."""

    def __init__(self, port: int, symbol: str) -> None:
        super().__init__(daemon=True)
        self._channel = redis.Redis(port=port, protocol=2).pubsub()
        self._channel.subscribe(f"prices.{symbol}")
        self.delays: list[float] = []
        self.start()

    def run(self) -> None:
        for message in self._channel.listen():
            if message["type"] == "message":
                self.delays.append(time.time() * 1e3 - json.loads(message["data"])["timestamp"] / 1e3)

    def take(self) -> dict[str, float]:
        """Returns the figures since the last call."""
        delays, self.delays = self.delays, []
        cuts = quantiles(delays, n=100) if len(delays) > 1 else [0.0] * 99
        return {"updates": len(delays), "p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(delays, default=0.0)}


@contextmanager
def memory_of(process: MeasuredProcess) -> Iterator[list[float]]:
    """Measures the resident memory of a process each half second, in MB."""
    samples, stop = [process.megabytes], threading.Event()

    def sample() -> None:
        while not stop.wait(0.5):
            samples.append(process.megabytes)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def measure(exchange: FastExchange, feeder: MeasuredProcess, subscriber: Subscriber, seconds: float) -> dict[str, Any]:
    """Returns the figures of `seconds` seconds in which Kafka works."""
    before, cpu, begin = exchange.sent["trades"], feeder.cpu_seconds, time.monotonic()
    accepted = feeder.metric("stockwatch_feed_trades_total")
    subscriber.take()
    with memory_of(feeder) as samples:
        time.sleep(seconds)
    delays = subscriber.take()
    took = time.monotonic() - begin
    cpu = feeder.cpu_seconds - cpu
    accepted = feeder.metric("stockwatch_feed_trades_total") - accepted
    return {
        "sent_s": (exchange.sent["trades"] - before) / took,
        "accepted_s": accepted / took,
        "cpu": cpu / took,
        "per_cpu_s": accepted / cpu,
        "rss_mb": max(samples),
        **delays,
    }


def quotes_newer_than(client: redis.Redis, symbols: list[str], timestamp: float) -> bool:
    quotes = client.mget([f"stock:{symbol}" for symbol in symbols])
    return all(quote and json.loads(quote)["timestamp"] > timestamp for quote in quotes)


def stop_kafka(stand: Stand, pids: Sequence[int], feeder: MeasuredProcess, symbols: list[str], seconds: float) -> Any:
    """Stops the brokers for `seconds` seconds, then continues the brokers. Waits until all quotes are current."""
    before = feeder.megabytes
    with memory_of(feeder) as samples:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        resumed = time.time()
        newer = (resumed - 1) * 1e6
        wait_until(lambda: quotes_newer_than(stand.redis, symbols, newer), 120, "current quotes of all symbols")
        current = time.time() - resumed
        time.sleep(AFTER_SECONDS)
    return {"rss_mb_before": before, "rss_mb_max": max(samples), "seconds_until_current": current}


def run(stand: Stand, pids: Sequence[int], rate: float, symbols: int, seconds: float, stop: float) -> dict[str, Any]:
    """Runs the case `rate`. Returns the figures.

    `pids` are the processes of the brokers. If `pids` is empty, Kafka is not stopped.
    """
    names = [f"T{number:02}/USD" for number in range(symbols)]
    stand.add_tickers("kraken", *names)
    exchange = FastExchange(stand, symbols)
    feeder = stand.start(
        "runfeed", program=[COMPRESSED, FACTOR, "runfeed", "kraken"], LOGGER_LEVEL="info", **exchange.settings
    )
    processor = stand.start("runprocessor")
    wait_until(lambda: exchange.sent["subscribed"] == symbols, 120, "all subscriptions")
    exchange.order("rate 200")
    wait_until(lambda: quotes_newer_than(stand.redis, names, 0), 120, "quotes of all symbols")
    exchange.order(f"rate {rate}")
    subscriber = Subscriber(stand.server.port, names[0])
    time.sleep(WARM_UP_SECONDS)
    figures: dict[str, Any] = {"steady": measure(exchange, feeder, subscriber, seconds)}
    if pids:
        figures["stopped"] = stop_kafka(stand, pids, feeder, names, stop)
    exchange.order("rate 0")
    time.sleep(2)
    trades = exchange.sent["trades"]
    observer = stand.observe()
    observer.wait_for_trades(trades)
    counters = ("trades", "repeats", "gaps", "missed", "fetched", "unfilled", "merged", "jumps", "connects")
    figures["feeder"] = {name: int(feeder.metric(f"stockwatch_feed_{name}_total")) for name in counters}
    figures["rss_mb_end"] = feeder.megabytes
    figures["exchange"] = exchange.sent
    statuses = [feeder.end()]
    observer.wait_for_end()
    statuses.append(processor.end())
    exchange.write_ledger(stand.folder / "ledger.csv")
    stopped = figures.get("stopped")
    is_bounded = stopped is None or stopped["rss_mb_max"] - stopped["rss_mb_before"] < MAX_MEGABYTES_MORE
    return figures | {"observed": observer.end(), "statuses": statuses, "met": is_bounded}
