"""Fills the update ledger: produces updates, listens to publications, and reads the topic."""

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
TIMEOUT_SECONDS = 90.0
MARKER_CHANNEL = b"prices.~"
"""A channel that belongs to no symbol. After a message on this channel, no earlier message can arrive."""

MAX_MESSAGE_BYTES = 1_040_000
"""The maximum size of a producer's message in bytes. Records of 1 MB are allowed.

The brokers allow a little more: a batch of 1,048,588 bytes.
"""


class Feed:
    """Produces updates of all symbols in turn, and adds the updates to the ledger.

    Each update is newer than the previous update of its symbol.
    """

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
                "message.max.bytes": MAX_MESSAGE_BYTES,
            }
        )

    def send_rounds(self, rounds: int = 1) -> None:
        """Sends one update of each symbol per round."""
        for _ in range(rounds):
            self.number += 1
            now = time.time_ns() // 1000
            for symbol in self.symbols:
                self.send_update(Update(symbol, 1.5, now, self.number))

    def send_update(self, update: Update) -> None:
        """Sends one update."""
        self._ledger.add_produced(update)
        self.send_record(update.symbol.encode(), encode(update), update)

    def send_record(self, key: bytes | None, value: bytes | None, update: Update | None = None) -> None:
        """Sends any record, also an invalid record.

        If `update` is not None, adds this update to the ledger when Kafka acknowledges the record.
        """
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=partial(self._on_delivery, update))
            except BufferError:
                self._producer.poll(0.05)
            else:
                self.sent += 1
                self._producer.poll(0)
                return

    def _on_delivery(self, update: Update | None, error: KafkaError | None, record: Message) -> None:
        if error is not None:
            self.failed += 1
            return
        self.acked += 1
        if update is not None:
            self._ledger.add_acknowledged(update, record.offset() or 0)

    def start(self, rate: int) -> None:
        """Sends about `rate` updates per second until `finish`."""
        self._thread = threading.Thread(target=self._run, args=(rate,), daemon=True)
        self._thread.start()

    def _run(self, rate: int) -> None:
        pause = 0.02
        rounds = max(int(rate * pause / len(self.symbols)), 1)
        while not self._stop.wait(rounds * len(self.symbols) / rate):
            self.send_rounds(rounds)

    def finish(self) -> None:
        """Stops sending. Waits for all delivery reports."""
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
    """Receives all messages on prices.* in a thread. Reconnects after a restart of Redis."""

    def __init__(self, address: dict[str, object], ledger: Ledger) -> None:
        self._address = address
        self._ledger = ledger
        self._closed = threading.Event()
        self._markers = 0
        self._ready = threading.Event()
        self.newest: dict[str, Update] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(TIMEOUT_SECONDS)

    @property
    def count(self) -> int:
        return self._ledger.published

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except redis.RedisError:
                if self._ready.is_set():
                    self._ready.clear()
                    self._ledger.add_gap()
                self._closed.wait(0.02)

    def _listen(self) -> None:
        with redis.Redis(**self._address, protocol=2, socket_timeout=None) as client, client.pubsub() as channel:
            channel.psubscribe("prices.*")
            channel.parse_response(block=True)
            self._ready.set()
            while True:
                kind, *_pattern, name, data = channel.parse_response(block=True)
                if kind == b"psubscribe":
                    self._ledger.add_gap()  # the client has reconnected
                    continue
                if name == MARKER_CHANNEL:
                    self._markers += 1
                    if data == b"end":
                        return
                    continue
                update = decode(data)
                self._ledger.add_published(update)
                self.newest[update.symbol] = update

    def drain(self) -> None:
        """Waits until the listener has received all messages that were published before this call."""
        assert self._ready.wait(TIMEOUT_SECONDS)
        before = self._markers
        with redis.Redis(**self._address, protocol=2) as client:
            client.publish(MARKER_CHANNEL, b"marker")
        wait_until(lambda: self._markers > before, TIMEOUT_SECONDS, "the marker")

    def close(self) -> None:
        self._closed.set()
        with redis.Redis(**self._address, protocol=2) as client:
            try:
                client.publish(MARKER_CHANNEL, b"end")
            except redis.RedisError:
                return
        self._thread.join(TIMEOUT_SECONDS)


def produce_updates(brokers: str, updates: Iterable[Update], topic: str = "market_ticks") -> None:
    """Writes the updates to the topic and waits until they are acknowledged."""
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "log_level": 2})
    for update in updates:
        producer.produce(topic, encode(update), update.symbol.encode())
        producer.poll(0)
    assert producer.flush(60) == 0
    producer.close()


def read_log(brokers: str, topic: str) -> Iterator[tuple[Update, int]]:
    """Yields each update of the topic with its offset, one partition after the other."""
    options = {"bootstrap.servers": brokers, "group.id": "log", "enable.auto.commit": False, "log_level": 2}
    with Consumer(options | {"error_cb": lambda _error: None, "socket.timeout.ms": 10_000}) as consumer:
        partitions = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic].partitions
        ends = {
            each: consumer.get_watermark_offsets(TopicPartition(topic, each), TIMEOUT_SECONDS)[1] for each in partitions
        }
        for partition, end in ends.items():
            consumer.assign([TopicPartition(topic, partition, 0)])
            deadline, at = time.monotonic() + TIMEOUT_SECONDS, 0
            while at < end:
                assert time.monotonic() < deadline, f"partition {partition} could not be read beyond {at} of {end}"
                for record in consumer.consume(10_000, 0.1):
                    assert record.error() is None, record.error()
                    at = (record.offset() or 0) + 1
                    try:
                        yield decode(record.value() or b""), at - 1
                    except BadRecord:
                        continue
