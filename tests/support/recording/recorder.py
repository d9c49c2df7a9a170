"""Runs recorders in tests. Reads the stored bars, and computes the bars that should be stored."""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import uuid4

import redis
from confluent_kafka import Message

from feeds.bar_layout import BarRing
from feeds.kafka.consumer import UpdateConsumer
from feeds.models import DayBar, MinuteBar, Origin, Tape
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar
from feeds.recorder.loop import Recorder
from feeds.recorder.past_writer import Simulation
from feeds.recorder.recent_bars import RecentBars
from feeds.recorder.symbol_bars import MINUTE_US, SECOND_US
from feeds.store.connection import connect
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer
from tests.support.recording.bars import UTC_DAYS, UTC_EVERYWHERE

SYMBOLS = ("AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X")
NOON = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * SECOND_US
SIMULATION = Simulation(interval=10.0, seed="7")
OHLC_COUNT = ("open", "high", "low", "close", "count")

Rows = dict[tuple[str, object], tuple[object, ...]]
"""A dict from (symbol, minute) or (symbol, date) to the values of a bar: open, high, low, close, count and so on."""


class StopWhen(threading.Event):
    """A stop event that is set while a condition is true.

    Raises AssertionError if the condition does not become true within 120 s.
    """

    def __init__(self, condition: Callable[[], object]) -> None:
        super().__init__()
        self._condition = condition
        self._timed_out = threading.Event()
        self._timer = threading.Timer(120, self._timed_out.set)
        self._timer.daemon = True
        self._timer.start()

    def is_set(self) -> bool:
        assert not self._timed_out.is_set(), "the condition did not hold within 120 s"
        return bool(self._condition())

    def wait(self, timeout: float | None = None) -> bool:
        return self._timed_out.wait(timeout)


class CountingConsumer(UpdateConsumer):
    """A consumer that counts the records that were read."""

    records_read = 0

    def read(self, timeout: float = 0.05) -> list[Message]:
        records = super().read(timeout)
        self.records_read += len(records)
        return records


class RecorderFactory:
    """Makes recorders of one topic and group.

    `now_us` is the time of the recorders' clock, in unix microseconds.
    """

    def __init__(self, kafka: str, topic: str, server: RedisServer) -> None:
        self.kafka, self.topic, self.server = kafka, topic, server
        self.group = f"group-{uuid4().hex}"
        self.now_us = NOON + 60 * MINUTE_US

    def make_recorder(self) -> Recorder:
        self.source = CountingConsumer(self.kafka, self.topic, self.group, timedelta(seconds=3))
        recent_bars = RecentBars(connect({"host": self.server.host, "port": self.server.port}))
        where = BarArchive(), UTC_EVERYWHERE, timedelta(days=30), SIMULATION

        def now() -> float:
            return self.now_us / SECOND_US

        return Recorder(self.source, recent_bars, *where, Random(1), now=now)

    def run_until(self, condition: Callable[[], object]) -> bool:
        """Runs a recorder until the condition is true, then shuts the recorder down."""
        return self.make_recorder().run(StopWhen(condition))

    def run_until_read(self, count: int) -> bool:
        """Runs a recorder until it has read and finished `count` records."""
        recorder = self.make_recorder()
        return recorder.run(StopWhen(lambda: self.source.records_read >= count and not recorder._pending))


def make_feed(minutes: int, first: int = NOON, step: int = 10 * SECOND_US) -> list[Update]:
    """Returns updates of `minutes` minutes: one update of each symbol every `step` microseconds.

    `first` is the time of the first updates in unix microseconds. Prices go up and down.
    """
    return [
        Update(symbol, 100.0 + at // step % 7 - number % 3, at, at // step)
        for at in range(first, first + minutes * MINUTE_US, step)
        for number, symbol in enumerate(SYMBOLS)
    ]


def expected_minutes(updates: Iterable[Update]) -> Rows:
    bars: dict[tuple[str, int], Bar] = {}
    for update in updates:
        key = update.symbol, update.timestamp // MINUTE_US
        bars.setdefault(key, Bar(key[1])).add(update)
    return {key: (*bar.ohlc_count, bar.first_seq, bar.last_seq) for key, bar in bars.items()}


def expected_days(updates: Iterable[Update]) -> Rows:
    bars: dict[tuple[str, int], Bar] = {}
    for update in updates:
        key = update.symbol, UTC_DAYS.day_at(update.timestamp)
        bars.setdefault(key, Bar(key[1])).add(update)
    return {(symbol, date.fromordinal(day)): bar.ohlc_count for (symbol, day), bar in bars.items()}


def stored_minutes() -> Rows:
    symbols = dict(Tape.objects.values_list("id", "symbol"))
    return {
        (symbols[bar.tape], bar.minute): (*(getattr(bar, name) for name in OHLC_COUNT), bar.first_seq, bar.last_seq)
        for bar in MinuteBar.objects.filter(origin=Origin.RECORDED)
    }


def stored_days() -> Rows:
    rows = DayBar.objects.filter(origin=Origin.RECORDED).values_list("tape__symbol", "day", *OHLC_COUNT)
    return {(row[0], row[1]): row[2:] for row in rows}


def stored_closes() -> dict[str, float | None]:
    return dict(Tape.objects.values_list("symbol", "previous_close"))


def read_ring(client: redis.Redis, ring: BarRing, symbol: str, first: int, last: int) -> dict[int, tuple[object, ...]]:
    """Returns a dict from the number of a bar to its open, high, low, close and count.

    `first` and `last` are the numbers of the first and the last bar, counted from 1970.
    """
    parts = [client.getrange(ring.key(symbol), begin, end) for begin, end in ring.byte_ranges(first, last)]
    slots = ring.unpack(b"".join(parts), first, last)
    return {start: (slot.open, slot.high, slot.low, slot.close, slot.update_count) for start, slot in slots}
