"""Detects records that were deleted before anyone read them, and topics that were created again.

In both cases the Kafka client silently continues at the first record that exists. Gaps that transactions or compaction
leave are not reported, because no update is lost in these gaps.
"""

from collections.abc import Collection

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from feeds import metrics

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 5.0


class OffsetGaps:
    """Looks for gaps in the offsets that one consumer reads."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._next: dict[int, int] = {}
        """The offset after the last record that was read, by partition."""

    def forget(self, partitions: Collection[int]) -> None:
        """Forgets partitions that are no longer assigned."""
        for partition in partitions:
            self._next.pop(partition, None)

    def check(self, consumer: Consumer, records: Collection[Message], assigned: Collection[int]) -> None:
        """Reports each partition whose new records do not begin at the expected offset.

        At the first call, the expected offset of a partition is the committed offset. At later calls, it is the offset
        after the partition's last record. `records` are the new records of one read, in order. Partitions that are not
        in `assigned` are ignored.
        """
        firsts: dict[int, int] = {}
        lasts: dict[int, int] = {}
        partition, previous = -1, None
        for record in records:
            number = record.partition() or 0
            if number != partition:  # a read returns the records of a partition together
                firsts.setdefault(number, record.offset() or 0)
                if previous is not None:
                    lasts[partition] = previous.offset() or 0
                partition = number
            previous = record
        if previous is not None:
            lasts[partition] = previous.offset() or 0
        for partition in firsts.keys() & assigned:
            first, last = firsts[partition], lasts[partition]
            known = self._next.get(partition)
            expected = self._read_committed(consumer, partition) if known is None else known
            if expected is not None and first != expected:
                self._report(consumer, partition, expected, first)
            self._next[partition] = last + 1

    def _read_committed(self, consumer: Consumer, partition: int) -> int | None:
        try:
            [committed] = consumer.committed([TopicPartition(self._topic, partition)], timeout=TIMEOUT_SECONDS)
        except KafkaException as error:
            log.debug("committed offset unknown", partition=partition, reason=error.args[0].str())
            return None
        return committed.offset if committed.offset >= 0 else None

    def _report(self, consumer: Consumer, partition: int, expected: int, first: int) -> None:
        place = {"topic": self._topic, "partition": partition, "expected": expected, "first": first}
        if first < expected:
            metrics.RECREATED.inc()
            log.error("topic was created again, its partition is read from the first record", **place)
            return
        try:
            low, _high = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), TIMEOUT_SECONDS)
        except KafkaException:
            low = first
        if (lost := min(low, first) - expected) > 0:
            metrics.LOST_RECORDS.inc(lost)
            log.error("records were deleted before they were read, see KAFKA_RETENTION", lost=lost, **place)
