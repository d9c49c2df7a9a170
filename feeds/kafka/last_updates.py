"""Reads the last update of each symbol from the end of a topic.

A restarted generator continues the seq_ids of these updates. The reader commits no offsets and creates no topic.
"""

import time
from collections.abc import Callable, Collection

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from msgspec import structs

from feeds.errors import BadRecord, BrokerUnavailable
from feeds.kafka.client_options import Options, client_options, ignore_errors
from feeds.retry import Outage
from feeds.stale import is_newer
from feeds.wire import DAY_US, Update, decode

log = structlog.get_logger(__name__)

WINDOWS = (1_000, 8_000, 50_000)
"""How many records at the end of each partition to search.

If a symbol is still missing, the next larger number is used.
"""

MAX_RECORDS = 5_000
"""How many records one `consume` call returns at most."""


class LastUpdates:
    """Reads the end of one topic.

    `clock` returns seconds since any fixed moment; `now` returns unix nanoseconds. `timeout` is the time limit of one
    `read`, in seconds.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        clock: Callable[[], float],
        options: Options | None = None,
        timeout: float = 15.0,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._topic = topic
        self._clock = clock
        self._now = now
        self._timeout = timeout
        self._options = client_options(brokers, Outage("Kafka"), options) | {
            "group.id": "stockwatch-history",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 5,  # the records exist already
            "error_cb": ignore_errors,
        }

    def read(self, symbols: Collection[str]) -> dict[str, Update]:
        """Returns a dict from each symbol to its newest update, with the greatest seq_id of the symbol.

        The greatest seq_id may be that of an older update, because real trades may arrive late. Leaves out symbols that
        have no update within the largest of WINDOWS. Raises BrokerUnavailable.
        """
        deadline = self._clock() + self._timeout
        found: dict[str, Update] = {}
        consumer = Consumer(self._options)
        try:
            watermarks = self._watermarks(consumer)
            ends = {partition: high for partition, (_low, high) in watermarks.items()}
            for size in WINDOWS:
                starts = {partition: max(low, high - size) for partition, (low, high) in watermarks.items()}
                bounds = {p: (starts[p], ends[p]) for p in watermarks if starts[p] < ends[p]}
                missing = {symbol.encode() for symbol in symbols if symbol not in found}
                if not (missing and bounds):
                    break
                self._scan(consumer, bounds, missing, found, deadline)
                ends |= {partition: start for partition, (start, _end) in bounds.items()}
        except KafkaException as error:
            raise BrokerUnavailable(f"the end of {self._topic} cannot be read: {error.args[0].str()}") from error
        finally:
            consumer.close()
        return found

    def _watermarks(self, consumer: Consumer) -> dict[int, tuple[int, int]]:
        """Returns a dict from partition to a pair: first offset, and offset after the last record."""
        topics = consumer.list_topics(self._topic, timeout=self._timeout).topics
        return {
            partition: consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=self._timeout)
            for partition in topics[self._topic].partitions
        }

    def _scan(
        self,
        consumer: Consumer,
        bounds: dict[int, tuple[int, int]],
        missing: Collection[bytes],
        found: dict[str, Update],
        deadline: float,
    ) -> None:
        """Adds the newest update of each missing symbol to `found`.

        `bounds` is a dict from partition to a pair of offsets: the first to read, and the one after the last to read.
        `missing` holds symbols, encoded like record keys. Raises BrokerUnavailable after `deadline`.
        """
        consumer.assign([TopicPartition(self._topic, partition, start) for partition, (start, _end) in bounds.items()])
        unfinished = {partition: end for partition, (_start, end) in bounds.items()}
        while unfinished:
            if self._clock() > deadline:
                raise BrokerUnavailable(f"the end of {self._topic} could not be read within {self._timeout:g} s")
            first = consumer.poll(0.05)
            for record in [] if first is None else [first, *consumer.consume(MAX_RECORDS, 0)]:
                partition, offset = record.partition() or 0, record.offset() or 0
                end = unfinished.get(partition)
                if end is None:
                    continue
                # The last offset may be a transaction marker instead of a record. So the event of the partition's end
                # counts too.
                if self._is_partition_end(record) or offset >= end - 1:
                    del unfinished[partition]
                if offset < end and record.error() is None and record.key() in missing:
                    self._keep_newest(record, found)

    def _keep_newest(self, record: Message, found: dict[str, Update]) -> None:
        """Adds the update in a record to `found` if it is newer. Keeps the greatest seq_id in any case.

        Ignores an update whose timestamp is more than a day ahead of our clock. If the generator continued after such
        an update, every processor would refuse the generator's updates.
        """
        try:
            update = decode(record.value() or b"", self._now() // 1000 + DAY_US)
        except BadRecord:
            return
        known = found.get(update.symbol)
        newest = update if known is None or is_newer(update, known) else known
        if known is not None and (seq_id := max(known.seq_id, update.seq_id)) > newest.seq_id:
            newest = structs.replace(newest, seq_id=seq_id)
        found[update.symbol] = newest

    def _is_partition_end(self, record: Message) -> bool:
        error = record.error()
        if error is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            return True
        raise KafkaException(error)
