"""Plays the walk: writes its records to Kafka and its quotes to Redis, at the times of the walk."""

import csv
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import redis
from confluent_kafka import KafkaError, Message, Producer

from feeds.wire import Update, encode, stock_key
from tests.bench.alert_ledger.walk import Arrival

BATCH_SECONDS = 0.02
IN_ORDER = {"max.in.flight.requests.per.connection": 1}
"""Without this option, a repeated request can change the order of the records."""


class Player:
    """Writes records to the topic. `see` is called with the symbol and the price of each newest update.

    Writes down in `file` which records were written, and when.

    `delay` is the longest time by which a record was written too late, in seconds of the real clock.
    """

    def __init__(self, brokers: str, quotes: redis.Redis, file: Path, see: Callable[[str, float], None]) -> None:
        options = {"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 2}
        self._producer = Producer(options | IN_ORDER)
        self._quotes, self._see = quotes, see
        self._file = file.open("w", newline="")
        self._newest: dict[str, Update] = {}
        self._refused = 0
        self.delay = 0.0

    def play(self, walk: Sequence[Arrival], begin: float, started: float, speed: float) -> None:
        """Writes all records. Raises RuntimeError if Kafka has not acknowledged one."""

        def batch(record: Arrival) -> int:
            return int((record.at / 1e6 - begin) / speed / BATCH_SECONDS)

        for number, records in groupby(walk, batch):
            wait = started + number * BATCH_SECONDS - time.clock_gettime(time.CLOCK_REALTIME)
            time.sleep(max(wait, 0))
            self.delay = max(self.delay, -wait)
            self.send(list(records))
        if self._producer.flush(60) or self._refused:
            raise RuntimeError("Kafka did not acknowledge all records of the walk")

    def send(self, records: list[Arrival]) -> None:
        """Writes these records at once."""
        now = int(time.time() * 1e6)
        csv.writer(self._file).writerows(record._replace(at=now) for record in records)
        pipe = self._quotes.pipeline(transaction=False)
        for record in records:
            update = Update(record.symbol, record.price, record.timestamp, record.seq_id)
            value = encode(update)
            self._producer.produce(
                "market_ticks",
                value,
                record.symbol.encode(),
                timestamp=now // 1000,
                headers={"source": record.source},
                on_delivery=self._on_delivery,
            )
            newest = self._newest.get(record.symbol)
            if newest is None or update.order > newest.order:
                self._newest[record.symbol] = update
                pipe.set(stock_key(record.symbol), value)
                self._see(record.symbol, record.price)
        self._producer.poll(0)
        pipe.execute()

    def _on_delivery(self, error: KafkaError | None, _record: Message) -> None:
        self._refused += error is not None

    def close(self) -> None:
        self._producer.close()
        self._file.close()
