"""Reads the newest update of each symbol among the records that a consumer group has processed."""

import time
from collections.abc import Callable, Container

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from feeds.errors import BadRecord, BrokerUnavailable
from feeds.kafka.client_options import Options
from feeds.kafka.last_updates import LastUpdates
from feeds.records import read_update
from feeds.stale import is_newer
from feeds.wire import Update, latest_timestamp

log = structlog.get_logger(__name__)

MAX_RECORDS = 50_000
"""How many records before the committed offset of each partition are read at most."""

MAX_ALL_RECORDS = 1_000_000
"""How many records of all partitions together are read at most."""

MIN_RECORDS = 1_000
"""How many records of each partition are always read, however many partitions there are."""

MAX_BYTES = 128 * 1024 * 1024
"""How much memory the newest updates may take. The updates of further symbols are left out."""

UPDATE_BYTES = 512
"""How much memory an update takes at most beside its encoded bytes."""


class _AnyKey(Container[bytes | None]):
    def __contains__(self, _key: object) -> bool:
        return True


class NewestUpdates:
    """Collects the newest update of each symbol, with its encoded bytes, in at most `max_bytes` bytes.

    `left_out` is the number of updates that did not fit.
    """

    def __init__(self, max_bytes: int) -> None:
        self._room = max_bytes
        self._is_full = False
        self._known: dict[str, tuple[Update, bytes]] = {}
        self.left_out = 0

    def add(self, update: Update, value: bytes) -> None:
        """Keeps an update if it is newer than the known one of its symbol. After `max_bytes`, adds no more symbols."""
        known = self._known.get(update.symbol)
        if known is not None and not is_newer(update, known[0]):
            return
        room = self._room - UPDATE_BYTES if known is None else self._room + len(known[1])
        fits = len(value) <= room and not (known is None and self._is_full)
        if not fits:
            self.left_out += 1
            self._is_full = True
            if known is None:
                return
        # If the newest update does not fit, an older one must not take its place. It is kept without its bytes.
        kept = value if fits else b""
        self._known[update.symbol] = update, kept
        self._room = room - len(kept)

    def list_updates(self) -> list[tuple[Update, bytes]]:
        return [(update, value) for update, value in self._known.values() if value]


class ProcessedUpdates(LastUpdates):
    """Reads updates before the committed offsets of a group, without joining the group."""

    def __init__(
        self,
        brokers: str,
        topic: str,
        group: str,
        clock: Callable[[], float] = time.monotonic,
        options: Options | None = None,
        timeout: float = 60.0,
    ) -> None:
        super().__init__(brokers, topic, clock, options, timeout)
        self._options["group.id"] = group
        self._max_records = MAX_RECORDS

    def read_newest(self) -> list[tuple[Update, bytes]]:
        """Returns the newest update of each symbol, with its encoded bytes. Raises BrokerUnavailable.

        Reads the last records of each partition. Leaves out symbols without an update among these records. If the
        records cannot be read in time, the next call reads a quarter of them.
        """
        newest = NewestUpdates(MAX_BYTES)

        def keep(record: Message) -> None:
            try:
                update = read_update(record.key(), record.value(), latest_timestamp(self._now() // 1000))
            except BadRecord:
                return
            newest.add(update, record.value() or b"")

        deadline = self._clock() + self._timeout
        consumer = Consumer(self._options)
        try:
            if bounds := self._processed_bounds(consumer):
                self._scan(consumer, bounds, _AnyKey(), keep, deadline)
        except KafkaException as error:
            raise BrokerUnavailable(f"processed records cannot be read: {error.args[0].str()}") from error
        except BrokerUnavailable:  # the time is over
            self._max_records = max(MIN_RECORDS, self._max_records // 4)
            raise
        finally:
            consumer.close()
        if newest.left_out:
            log.warning("too many updates to restore, some left out", updates=newest.left_out)
        return newest.list_updates()

    def _processed_bounds(self, consumer: Consumer) -> dict[int, tuple[int, int]]:
        """Returns for each partition the first offset to read, and the committed offset. Leaves out empty ranges."""
        watermarks = self._watermarks(consumer)
        partitions = [TopicPartition(self._topic, partition) for partition in watermarks]
        most = min(self._max_records, max(MIN_RECORDS, MAX_ALL_RECORDS // max(1, len(partitions))))
        bounds = {}
        for each in consumer.committed(partitions, timeout=self._timeout):
            low, high = watermarks[each.partition]
            end = min(high, each.offset)  # negative if nothing was committed
            start = max(low, end - most)
            if start < end:
                bounds[each.partition] = start, end
        return bounds
