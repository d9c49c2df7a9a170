"""Reads the last updates of each symbol from the end of a topic.

A restarted generator or feeder continues the seq_ids of these updates. No offsets are committed, and no topic is
created.
"""

import time
from collections.abc import Callable, Collection, Container, Sequence

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from msgspec import structs

from feeds.errors import BadRecord, BrokerUnavailable
from feeds.kafka.client_options import Options, client_options, ignore_errors
from feeds.kafka.symbol_ends import SymbolEnds
from feeds.records import TopicEnd, read_update
from feeds.retry import Outage
from feeds.stale import is_newer
from feeds.wire import DAY_US, Update

log = structlog.get_logger(__name__)

WINDOWS = (1_000, 8_000, 50_000)
"""How many records to search at the end of each partition.

The first search uses the smallest number. If a symbol is still missing, the next larger number is used.
"""

END_WINDOWS = (8_000, 50_000)
"""The numbers that `read_ends` uses instead of WINDOWS."""

MAX_RECORDS = 5_000
"""How many records one `consume` call returns at most."""


class LastUpdates:
    """Reads the last updates of symbols in one topic.

    `timeout` is the time limit of `read` and of `read_ends`, in seconds. `clock` returns monotonic seconds, `now` unix
    nanoseconds.
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
        """Returns the newest update of each symbol near the end of the topic. Raises BrokerUnavailable.

        The seq_id of the update is replaced by the greatest seq_id that was found for the symbol. Symbols that were not
        found are left out.
        """
        found: dict[str, Update] = {}

        def keep(record: Message) -> None:
            update = self._decode(record)
            if update is not None:
                # A late trade has an older time and a greater seq_id than the newest update.
                found[update.symbol] = newest_with_greatest_number(update, found.get(update.symbol))

        self._search(WINDOWS, symbols, found, keep)
        return found

    def read_ends(self, symbols: Collection[str]) -> dict[str, TopicEnd]:
        """Returns for each symbol a TopicEnd: what the last records of the topic say about the symbol.

        Symbols that were not found near the end of the topic are left out. Raises BrokerUnavailable.
        """
        ends = SymbolEnds()

        def keep(record: Message) -> None:
            update = self._decode(record)
            if update is not None:
                ends.add(update, dict(record.headers() or ()))

        self._search(END_WINDOWS, symbols, ends.symbols, keep)
        return ends.finish()

    def _search(
        self,
        windows: Sequence[int],
        symbols: Collection[str],
        found: Container[str],
        keep: Callable[[Message], None],
    ) -> None:
        """Calls `keep` with the records of `symbols` near the end of the topic.

        Searches `windows[0]` records at the end of each partition, then `windows[1]` records, and so on. Stops when
        `keep` has added all symbols to `found`.
        """
        deadline = self._clock() + self._timeout
        consumer = Consumer(self._options)
        try:
            watermarks = self._watermarks(consumer)
            ends = {partition: high for partition, (_low, high) in watermarks.items()}
            for size in windows:
                starts = {partition: max(low, high - size) for partition, (low, high) in watermarks.items()}
                bounds = {p: (starts[p], ends[p]) for p in watermarks if starts[p] < ends[p]}
                missing = {symbol.encode() for symbol in symbols if symbol not in found}
                if not (missing and bounds):
                    break
                self._scan(consumer, bounds, missing, keep, deadline)
                ends |= {partition: start for partition, (start, _end) in bounds.items()}
        except KafkaException as error:
            raise BrokerUnavailable(f"the end of {self._topic} cannot be read: {error.args[0].str()}") from error
        finally:
            consumer.close()

    def _watermarks(self, consumer: Consumer) -> dict[int, tuple[int, int]]:
        """Returns for each partition the first offset, and the offset after the last record."""
        topics = consumer.list_topics(self._topic, timeout=self._timeout).topics
        return {
            partition: consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=self._timeout)
            for partition in topics[self._topic].partitions
        }

    def _scan(
        self,
        consumer: Consumer,
        bounds: dict[int, tuple[int, int]],
        missing: Container[bytes | None],
        keep: Callable[[Message], None],
        deadline: float,
    ) -> None:
        """Reads a part of each partition. Calls `keep` with each record whose key is in `missing`.

        `bounds` has for each partition the first offset to read, and the offset before which to stop. Raises
        BrokerUnavailable after `deadline`.
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
                    keep(record)

    def _decode(self, record: Message) -> Update | None:
        """Returns the update in a record, or None if the record is not valid."""
        try:
            # A timestamp further ahead is ignored: processors would refuse all updates that continue after it.
            return read_update(record.key(), record.value(), self._now() // 1000 + DAY_US)
        except BadRecord:
            return None

    def _is_partition_end(self, record: Message) -> bool:
        error = record.error()
        if error is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            return True
        raise KafkaException(error)


def newest_with_greatest_number(update: Update, known: Update | None) -> Update:
    """Returns the newer of two updates, with the greater of their two seq_ids. `known` may be None."""
    if known is None:
        return update
    newest = update if is_newer(update, known) else known
    seq_id = max(known.seq_id, update.seq_id)
    return structs.replace(newest, seq_id=seq_id) if seq_id > newest.seq_id else newest
