"""Runs a processor in a thread, and makes updates for the processor."""

import threading
from collections.abc import Callable
from datetime import timedelta

import redis

from feeds.errors import PermanentError, StoreUnavailable
from feeds.kafka.dead_letter_topic import DeadLetterTopic
from feeds.processor.loop import Processor
from feeds.store.batch import Batch
from feeds.store.connection import connect
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer
from tests.support.times import at

SYMBOLS = ("AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X")
TIMEOUT_SECONDS = 60.0


class RunningProcessor:
    """A processor in a thread. `finished` is the result of its `run`, and `error` is the error that `run` raised."""

    def __init__(self, processor: Processor) -> None:
        self.processor = processor
        self.stop_event = threading.Event()
        self.finished: bool | None = None
        self.error: PermanentError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.finished = self.processor.run(self.stop_event)
        except PermanentError as error:
            self.error = error

    def stop(self) -> bool | None:
        """Stops the processor. Returns whether the processor finished all records that it had read."""
        self.stop_event.set()
        return self.wait()

    def wait(self) -> bool | None:
        """Waits until the processor ends. Returns whether the processor finished all records that it had read."""
        self._thread.join(TIMEOUT_SECONDS)
        assert not self._thread.is_alive()
        return self.finished


Run = Callable[..., RunningProcessor]


def open_writer(server: RedisServer) -> QuoteWriter:
    """Returns a writer that stores quotes in this Redis for an hour."""
    return QuoteWriter(connect({"host": server.host, "port": server.port}), timedelta(hours=1))


def dead_letter_topic(brokers: str, topic: str) -> DeadLetterTopic:
    """Returns the dead-letter topic that belongs to a topic."""
    return DeadLetterTopic(brokers, f"{topic}.dlq", timedelta(days=7))


def make_updates(count: int, first: int = 1) -> list[Update]:
    """Returns `count` updates of each symbol in ascending order."""
    return [Update(symbol, 1.5, at(number), number) for number in range(first, first + count) for symbol in SYMBOLS]


def values_by_symbol(updates: list[Update]) -> dict[str, list[bytes]]:
    """Returns a dict from each of SYMBOLS to its encoded updates, in the given order."""
    return {symbol: [encode(each) for each in updates if each.symbol == symbol] for symbol in SYMBOLS}


class FailingWriter(QuoteWriter):
    """A writer that raises RuntimeError, as a bug would."""

    def __init__(self) -> None:
        pass

    def write(self, batch: Batch) -> int:
        raise RuntimeError("a bug")

    def close(self) -> None:
        pass


class UnavailableWriter(QuoteWriter):
    """A writer that raises StoreUnavailable until `available` is set. Counts the calls."""

    def __init__(self) -> None:
        self.available = threading.Event()
        self.calls = 0
        self.written: set[str] = set()

    def write(self, batch: Batch) -> int:
        self.calls += 1
        if not self.available.is_set():
            raise StoreUnavailable("unavailable")
        self.written.update(batch.by_symbol)
        return batch.size

    def close(self) -> None:
        pass


class BlockingWriter(QuoteWriter):
    """A writer whose first write blocks until `unblock` is set."""

    def __init__(self, client: redis.Redis, ttl: timedelta) -> None:
        super().__init__(client, ttl)
        self.unblock = threading.Event()

    def write(self, batch: Batch) -> int:
        assert self.unblock.wait(TIMEOUT_SECONDS)
        return super().write(batch)
