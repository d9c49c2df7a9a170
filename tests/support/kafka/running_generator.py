"""Runs a generator in a thread."""

import threading
import time
from collections.abc import Callable
from time import monotonic

import redis

from feeds.generator.loop import DeliveryTotals, GeneratorLoop
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.sources.simulated import Instrument, PriceSimulator
from feeds.store.holders import Holder
from feeds.store.lease import Lease
from feeds.store.ownership import Ownership
from feeds.wire import Update

INTERVAL_SECONDS = 0.01


class RunningGenerator:
    """A generator in a thread. A test may change `tickers`, `read_last_updates`, `clock` and `now` while it runs."""

    def __init__(self, brokers: str, topic: str, client: redis.Redis, *instruments: Instrument) -> None:
        self.tickers: list[Instrument] | Exception = list(instruments)
        self.read_last_updates: Callable[..., dict[str, Update]] = LastUpdates(brokers, topic, monotonic).read
        self.producer = UpdateProducer(brokers, topic)
        self.clock = monotonic
        self.now = time.time_ns
        self.stop_event = threading.Event()
        self.totals: DeliveryTotals | None = None
        self.error: Exception | None = None
        holder = Holder()
        self.lease = Lease(client, topic, f"generator feeds {topic}", holder)
        self._ownership = Ownership(client, topic, holder)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> "RunningGenerator":
        self._thread.start()
        return self

    def stop(self) -> DeliveryTotals:
        self.stop_event.set()
        self.wait()
        assert self.totals is not None
        return self.totals

    def wait(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _read_tickers(self) -> list[Instrument]:
        if isinstance(self.tickers, Exception):
            raise self.tickers
        return list(self.tickers)

    def _run(self) -> None:
        generator = GeneratorLoop(
            PriceSimulator(INTERVAL_SECONDS, "1"),
            self.producer,
            self.lease,
            self._ownership,
            self._read_tickers,
            lambda *args: self.read_last_updates(*args),
            INTERVAL_SECONDS,
            clock=lambda: self.clock(),
            now=lambda: self.now(),
        )
        try:
            self.totals = generator.run(self.stop_event)
        except Exception as error:
            self.error = error
