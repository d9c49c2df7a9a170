"""What goes in and what comes out: a feed whose every acknowledgement is booked, an ear on Redis, the log read back."""

import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial

import redis
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from feeds.errors import BadRecord
from feeds.wire import Update, decode, encode
from tests.support.update_ledger import Ledger
from tests.support.waiting import wait_until

SYMBOLS = ("AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X", "GOOG", "TSLA", "AMZN", "MSFT", "NVDA")
SECONDS = 90.0
END = b"prices.~"
"""A channel of no symbol: what is published there says that all before it was heard."""

LARGEST_MESSAGE = 1_040_000
"""Bytes; a producer's own limit, just below the brokers' 1,048,588 for a batch, lets records of 1 MB through."""


class Feed:
    """Produces updates of all symbols in turn, each newer than the one before, and books them."""

    def __init__(self, brokers: str, topic: str, ledger: Ledger, symbols: Iterable[str] = SYMBOLS) -> None:
        self.symbols = tuple(symbols)
        self.number = 0
        self.sent = 0
        self.acked = 0
        self.failed = 0
        self._topic = topic
        self._ledger = ledger
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 1,
                "partitioner": "murmur2_random",
                "log_level": 2,
                "error_cb": lambda _error: None,
                "reconnect.backoff.max.ms": 1000,
                "socket.timeout.ms": 10_000,
                "request.timeout.ms": 5_000,
                "message.max.bytes": LARGEST_MESSAGE,
            }
        )

    def send(self, rounds: int = 1) -> None:
        """So many updates of each symbol."""
        for _ in range(rounds):
            self.number += 1
            now = time.time_ns() // 1000
            for symbol in self.symbols:
                self.put(Update(symbol, 1.5, now, self.number))

    def put(self, update: Update) -> None:
        """One update as it is."""
        self._ledger.produced(update)
        self.raw(update.symbol.encode(), encode(update), update)

    def raw(self, key: bytes | None, value: bytes | None, update: Update | None = None) -> None:
        """One record, whatever it is."""
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=partial(self._report, update))
            except BufferError:
                self._producer.poll(0.05)
            else:
                self.sent += 1
                self._producer.poll(0)
                return

    def _report(self, update: Update | None, error: KafkaError | None, record: Message) -> None:
        if error is not None:
            self.failed += 1
            return
        self.acked += 1
        if update is not None:
            self._ledger.acked(update, record.offset() or 0)

    def start(self, rate: int) -> None:
        """About so many updates a second until `end`."""
        self._thread = threading.Thread(target=self._run, args=(rate,), daemon=True)
        self._thread.start()

    def _run(self, rate: int) -> None:
        pause = 0.02
        rounds = max(int(rate * pause / len(self.symbols)), 1)
        while not self._stop.wait(rounds * len(self.symbols) / rate):
            self.send(rounds)

    def end(self) -> None:
        """Stops, and waits until the brokers have said what became of everything."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        assert self._producer.flush(150) == 0
        self._stop.clear()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._producer.purge()
        self._producer.flush(1)
        self._producer.close()


class UpdateListener:
    """Hears everything on prices.* in a thread of its own; a Redis that died is heard again when it is back."""

    def __init__(self, address: dict[str, object], ledger: Ledger) -> None:
        self._address = address
        self._ledger = ledger
        self._ended = threading.Event()
        self._marks = 0
        self._ready = threading.Event()
        self.newest: dict[str, Update] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(SECONDS)

    @property
    def count(self) -> int:
        return self._ledger.published

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._listen()
            except redis.RedisError:
                if self._ready.is_set():
                    self._ready.clear()
                    self._ledger.gap()
                self._ended.wait(0.02)

    def _listen(self) -> None:
        with redis.Redis(**self._address, protocol=2, socket_timeout=None) as client, client.pubsub() as channel:
            channel.psubscribe("prices.*")
            channel.parse_response(block=True)
            self._ready.set()
            while True:
                kind, *_pattern, name, data = channel.parse_response(block=True)
                if kind == b"psubscribe":
                    self._ledger.gap()  # the client has connected again by itself
                    continue
                if name == END:
                    self._marks += 1
                    if data == b"end":
                        return
                    continue
                update = decode(data)
                self._ledger.heard(update)
                self.newest[update.symbol] = update

    def drain(self) -> None:
        """Returns when all that was published before has been heard."""
        assert self._ready.wait(SECONDS)
        before = self._marks
        with redis.Redis(**self._address, protocol=2) as client:
            client.publish(END, b"mark")
        wait_until(lambda: self._marks > before, SECONDS, "the end of what was published")

    def close(self) -> None:
        self._ended.set()
        with redis.Redis(**self._address, protocol=2) as client:
            try:
                client.publish(END, b"end")
            except redis.RedisError:
                return
        self._thread.join(SECONDS)


def read_log(brokers: str, topic: str) -> Iterator[tuple[Update, int]]:
    """Every update that the topic holds, with its offset, partition by partition from the first record on."""
    options = {"bootstrap.servers": brokers, "group.id": "log", "enable.auto.commit": False, "log_level": 2}
    with Consumer(options | {"error_cb": lambda _error: None, "socket.timeout.ms": 10_000}) as consumer:
        partitions = consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
        ends = {each: consumer.get_watermark_offsets(TopicPartition(topic, each), SECONDS)[1] for each in partitions}
        for partition, end in ends.items():
            consumer.assign([TopicPartition(topic, partition, 0)])
            deadline, at = time.monotonic() + SECONDS, 0
            while at < end:
                assert time.monotonic() < deadline, f"partition {partition} could not be read beyond {at} of {end}"
                for record in consumer.consume(10_000, 0.1):
                    assert record.error() is None, record.error()
                    at = (record.offset() or 0) + 1
                    try:
                        yield decode(record.value() or b""), at - 1
                    except BadRecord:
                        continue
