"""Computes the lag of each assigned partition from librdkafka's statistics.

The lag of a partition is the number of its records that the consumer has not finished.
"""

from collections.abc import Collection

import msgspec

from feeds import metrics

STATISTICS_INTERVAL_MS = 1000
"""How often the client reports statistics."""

UNKNOWN_OFFSET = -1001


class PartitionStatistics(msgspec.Struct):
    """The offsets of a partition. A negative number stands for an unknown offset.

    `lo_offset` is the first offset. `hi_offset` is the offset after the last record. `ls_offset` is smaller than
    `hi_offset` while an open transaction hides the last records. `stored_offset` will be committed next.
    `committed_offset` was committed last.
    """

    lo_offset: int = UNKNOWN_OFFSET
    hi_offset: int = UNKNOWN_OFFSET
    ls_offset: int = UNKNOWN_OFFSET
    stored_offset: int = UNKNOWN_OFFSET
    committed_offset: int = UNKNOWN_OFFSET

    @property
    def lag(self) -> int | None:
        """The number of records that are not finished; None if the partition's end is unknown."""
        end = self.ls_offset if self.ls_offset >= 0 else self.hi_offset
        if end < 0:
            return None
        return max(end - max(self.stored_offset, self.committed_offset, self.lo_offset, 0), 0)


class TopicStatistics(msgspec.Struct):
    """The statistics of one topic.

    `partitions` is a dict from the number of a partition, as text, to its statistics. Partition -1 is internal to the
    client.
    """

    partitions: dict[str, PartitionStatistics] = {}


class Statistics(msgspec.Struct):
    """The part of the client's statistics that is used here."""

    topics: dict[str, TopicStatistics] = {}


class Lag:
    """Sets the lag metric of one consumer. The Kafka client calls a Lag as its `stats_cb`."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._decode = msgspec.json.Decoder(Statistics).decode
        self._assigned: frozenset[int] = frozenset()
        self.by_partition: dict[int, int] = {}
        """The lag of each assigned partition in the last statistics."""

    def assign(self, partitions: Collection[int]) -> None:
        """Sets the partitions whose lag is reported."""
        self._assigned = frozenset(partitions)
        self._publish({number: lag for number, lag in self.by_partition.items() if number in self._assigned})

    def __call__(self, text: str) -> None:
        topic = self._decode(text).topics.get(self._topic)
        partitions = topic.partitions if topic is not None else {}
        lags = {int(number): each.lag for number, each in partitions.items() if int(number) in self._assigned}
        self._publish({number: lag for number, lag in lags.items() if lag is not None})

    def _publish(self, by_partition: dict[int, int]) -> None:
        for partition in self.by_partition.keys() - by_partition.keys():
            metrics.LAG.remove(str(partition))
        for partition, lag in by_partition.items():
            metrics.LAG.labels(str(partition)).set(lag)
        self.by_partition = by_partition
