"""Reads the newest update of each symbol among the records that a consumer group has processed."""

import time
from collections.abc import Callable, Container

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from feeds.errors import BadRecord, BrokerUnavailable
from feeds.kafka.client_options import Options
from feeds.kafka.last_updates import LastUpdates
from feeds.records import read_update
from feeds.stale import is_newer
from feeds.wire import Update, latest_timestamp

MAX_RECORDS = 50_000
"""How many records before the committed offset of each partition are read."""


class _AnyKey(Container[bytes | None]):
    def __contains__(self, _key: object) -> bool:
        return True


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

    def read_newest(self) -> list[tuple[Update, bytes]]:
        """Returns the newest update of each symbol, with its encoded bytes. Raises BrokerUnavailable.

        Reads at most MAX_RECORDS records of each partition. Leaves out symbols without an update among these records.
        """
        newest: dict[str, tuple[Update, bytes]] = {}

        def keep(record: Message) -> None:
            try:
                update = read_update(record.key(), record.value(), latest_timestamp(self._now() // 1000))
            except BadRecord:
                return
            known = newest.get(update.symbol)
            if known is None or is_newer(update, known[0]):
                newest[update.symbol] = update, record.value() or b""

        deadline = self._clock() + self._timeout
        consumer = Consumer(self._options)
        try:
            if bounds := self._processed_bounds(consumer):
                self._scan(consumer, bounds, _AnyKey(), keep, deadline)
        except KafkaException as error:
            raise BrokerUnavailable(f"processed records cannot be read: {error.args[0].str()}") from error
        finally:
            consumer.close()
        return list(newest.values())

    def _processed_bounds(self, consumer: Consumer) -> dict[int, tuple[int, int]]:
        """Returns for each partition the first offset to read, and the committed offset. Leaves out empty ranges."""
        watermarks = self._watermarks(consumer)
        partitions = [TopicPartition(self._topic, partition) for partition in watermarks]
        bounds = {}
        for each in consumer.committed(partitions, timeout=self._timeout):
            low, high = watermarks[each.partition]
            end = min(high, each.offset)  # negative if nothing was committed
            start = max(low, end - MAX_RECORDS)
            if start < end:
                bounds[each.partition] = start, end
        return bounds
