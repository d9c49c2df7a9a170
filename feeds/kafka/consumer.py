"""Reads a topic as a member of a consumer group.

Only the thread that calls `read` may use a consumer. Calls in several threads may wait for each other forever.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from functools import partial

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition, murmur2

from feeds.errors import BrokerUnavailable, TopicRefused
from feeds.kafka.client_options import EMBEDDED, Options, client_options
from feeds.kafka.group_errors import raise_if_refused
from feeds.kafka.lag import STATISTICS_INTERVAL_MS, Lag
from feeds.kafka.lost_brokers import LostBrokerSearch
from feeds.kafka.offset_gaps import OffsetGaps
from feeds.kafka.topic import Topic, read_ends
from feeds.retry import Outage

log = structlog.get_logger(__name__)

MAX_RECORDS = 500
"""One read returns at most MAX_RECORDS + 1 records."""

# The default of 100,000 records needs 40 MB more and is not faster.
PREFETCH = {"queued.min.messages": 20_000, "queued.max.messages.kbytes": 16 * 1024}
"""The client options that say how many records are fetched ahead."""

FIND_TOPIC_SECONDS = 2.0
Rebalance = Callable[[Collection[int]], None]


class UpdateConsumer:
    """A member of one consumer group that reads one topic.

    Only offsets that were passed to `store` are committed. `outage` logs when Kafka is unavailable. The caller must
    begin `outage` when `open` fails, and end `outage` when `open` succeeds. If `once` is true, the property
    `drained` tells when to stop reading.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        group: str,
        session_timeout: timedelta,
        instance_id: str = "",
        options: Options | None = None,
        once: bool = False,
    ) -> None:
        self.topic = topic
        self.outage = Outage("Kafka")
        self.lag = Lag(topic)
        self._gaps = OffsetGaps(topic)
        self.assigned: set[int] = set()
        self._topic = Topic(brokers, topic)
        self._extra_options = dict(options or {})
        self._once = once
        self._search = LostBrokerSearch("")
        self._joined = False
        self._partitions = 0
        self._removed_during_read: set[int] = set()
        self._unread_ends: dict[int, int] = {}
        self._options = self._make_options(brokers, group, session_timeout, instance_id)
        self._consumer: Consumer | None = None

    def _make_options(self, brokers: str, group: str, session_timeout: timedelta, instance_id: str) -> Options:
        session_ms = session_timeout // timedelta(milliseconds=1)
        options = {
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": min(3000, session_ms // 3),
            "auto.offset.reset": "earliest",
            "enable.auto.offset.store": False,
            "auto.commit.interval.ms": 1000,
            # After this time the client fetches again if its queue was full. The default, 1 s, would be a gap in the
            # prices.
            "fetch.queue.backoff.ms": 10,
            "statistics.interval.ms": STATISTICS_INTERVAL_MS,
            "stats_cb": self.lag,
            "enable.partition.eof": self._once,
        }
        static_membership = {"group.instance.id": instance_id} if instance_id else {}
        return options | PREFETCH | client_options(brokers, self.outage) | static_membership

    def open(self, on_revoke: Rebalance, on_lost: Rebalance, wait: Callable[[float], object]) -> None:
        """Joins the group. Raises BrokerUnavailable. If `once` is true, raises TopicRefused for a missing topic.

        `on_revoke` gets the partitions that this member must give up, and may still commit offsets of these partitions.
        `on_lost` gets partitions that another member owns already.
        """
        description = self._topic.describe() if self._once else self._topic.find(wait, FIND_TOPIC_SECONDS)
        if not description.partitions:
            raise TopicRefused(f"the topic {self.topic} does not exist, so there is nothing to read")
        self._partitions = description.partitions
        self._on_revoke, self._on_lost = on_revoke, on_lost
        if not (description.embedded or self._once):
            self._search = LostBrokerSearch(self._options["bootstrap.servers"])
        self._extra_options = {**(EMBEDDED if description.embedded else {}), **self._extra_options}
        consumer = Consumer({**self._options, **self._extra_options})
        if self._once:
            self._unread_ends = read_ends(consumer, self.topic, description.partitions)
        self._subscribe(consumer)

    def _subscribe(self, consumer: Consumer) -> None:
        def unless_left(handle: Callable[[list[TopicPartition]], None]) -> Callable[..., None]:
            return lambda caller, partitions: handle(partitions) if caller is self._consumer else None

        self._consumer = consumer
        consumer.subscribe(
            [self.topic],
            on_assign=unless_left(self._assign),
            on_revoke=unless_left(partial(self._unassign, "partitions revoked", self._on_revoke)),
            on_lost=unless_left(self._lose),
        )

    def _leave_lost_brokers(self) -> None:
        """Joins the group again through the other brokers, if the others have lost some of them."""
        if others := self._search.find_others():
            former, self._consumer = self._opened(), None
            self._lose([TopicPartition(self.topic, number) for number in self.assigned])
            # The client waits for answers that may never come.
            threading.Thread(target=former.close, name="leaving lost brokers", daemon=True).start()
            self._subscribe(Consumer({**self._options, **self._extra_options, "bootstrap.servers": others}))

    def _assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned.update(self._log_partitions("partitions assigned", partitions))
        self._joined = True
        self.lag.assign(self.assigned)
        self.outage.end()

    def _lose(self, partitions: list[TopicPartition]) -> None:
        self.outage.begin("the session of this member has expired")
        self._unassign("partitions lost", self._on_lost, partitions)

    def _unassign(self, event: str, callback: Rebalance, partitions: list[TopicPartition]) -> None:
        numbers = self._log_partitions(event, partitions)
        self._removed_during_read.update(numbers)
        self.assigned.difference_update(numbers)
        self.lag.assign(self.assigned)
        self._gaps.forget(numbers)
        callback(numbers)

    def describe(self) -> dict[str, list[int]]:
        """Returns the partitions of this member. May be called in any thread."""
        return {"partitions": sorted(self.assigned.copy())}

    @property
    def drained(self) -> bool:
        """Whether this member has read all records that existed when `open` was called. False if `once` is false."""
        return self._once and self._joined and not (self.assigned & self._unread_ends.keys())

    def read(self, timeout: float = 0.05) -> list[Message]:
        """Returns the available records. Waits up to `timeout` seconds for the first record.

        Raises GroupRefused if this member can never read again.
        """
        consumer = self._opened()
        first = consumer.poll(timeout)
        if first is None:
            self._leave_lost_brokers()
            return []
        self._removed_during_read.clear()
        records = [first]
        try:
            records += consumer.consume(MAX_RECORDS, 0)
        except KafkaException as error:
            self._handle_error(error.args[0])
        if first.partition() in self._removed_during_read:
            # A rebalance happened between `poll` and `consume`: the new owner reads this record again.
            del records[0]
        valid = [record for record in records if record.error() is None]
        if valid:
            self._search.note_read()
            self.outage.end()
            self._gaps.check(consumer, valid, self.assigned)
        if len(valid) < len(records):
            self._handle_events([record for record in records if record.error() is not None])
        if self._unread_ends:
            self._note_read(valid)
        return valid

    def _handle_events(self, records: Collection[Message]) -> None:
        """Handles the special records with which the client reports an error or the end of a partition."""
        for record in records:
            if (error := record.error()) is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                self._unread_ends.pop(record.partition() or 0, None)
            else:
                self._handle_error(error)

    def _note_read(self, records: Collection[Message]) -> None:
        """Removes from `_unread_ends` each partition that has been read to its end with these records."""
        for record in records:
            partition, offset = record.partition() or 0, record.offset() or 0
            if offset + 1 >= self._unread_ends.get(partition, offset + 2):
                del self._unread_ends[partition]

    def owns(self, symbol: str) -> bool:
        """Returns whether this member reads the updates of a symbol."""
        return bool(self.assigned) and murmur2(symbol.encode(), self._partitions) in self.assigned

    def has_read_all(self) -> bool:
        """Returns whether this member has all partitions, and has read all records that the client knows of."""
        return len(self.assigned) >= self._partitions and self._has_read(self.assigned)

    def has_read(self, symbol: str) -> bool:
        """Returns whether this member reads the symbol's partition, and has read all known records of the partition."""
        return self.owns(symbol) and self._has_read({murmur2(symbol.encode(), self._partitions)})

    def _has_read(self, partitions: Collection[int]) -> bool:
        consumer = self._opened()
        positions = consumer.position([TopicPartition(self.topic, number) for number in partitions])
        return all(self._is_at_end(consumer, position) for position in positions)

    def _is_at_end(self, consumer: Consumer, position: TopicPartition) -> bool:
        if position.offset < 0:  # nothing was read since the partition was assigned
            return self.lag.by_partition.get(position.partition) == 0
        _low, high = consumer.get_watermark_offsets(position, cached=True)
        return 0 <= high <= position.offset

    def store(self, offsets: Mapping[int, int]) -> None:
        """Stores offsets, which the client commits within a second.

        `offsets` is a dict from partition to the next offset to read. Partitions that other members own are ignored.
        """
        positions = [TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()]
        try:
            self._opened().store_offsets(offsets=positions)
        except KafkaException as error:
            # The offsets of partitions that are still assigned were stored nevertheless. The owners of the other
            # partitions read their records again.
            log.debug("offset not stored: partition not assigned", reason=error.args[0].str())

    def commit(self) -> None:
        """Commits the stored offsets and waits for the answer. A failure is only logged."""
        self._commit(self._opened())

    def _commit(self, consumer: Consumer) -> None:
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                log.warning("offsets not committed, records will be read again", reason=error.args[0].str())

    def pause(self) -> None:
        """Pauses all assigned partitions. Keep calling `read`, so that this member stays in the group."""
        self._opened().pause(self._opened().assignment())

    def resume(self) -> None:
        """Resumes all assigned partitions."""
        self._opened().resume(self._opened().assignment())

    def leave(self, timeout: float = 4.0) -> None:
        """Commits the stored offsets and leaves the group. Waits at most `timeout` seconds."""
        if self._consumer is None:
            return
        # Commit and close have no time-out. They block for up to a minute if there is no coordinator. From here on only
        # the new thread uses the consumer.
        leaving = threading.Thread(target=self._leave, args=(self._consumer,), name="leaving", daemon=True)
        leaving.start()
        leaving.join(timeout)
        if leaving.is_alive():
            log.warning("Kafka does not answer, the last offsets are not committed", topic=self.topic)
        else:
            self._consumer = None

    def _leave(self, consumer: Consumer) -> None:
        self._commit(consumer)
        consumer.close()

    def _opened(self) -> Consumer:
        if self._consumer is None:
            raise BrokerUnavailable("the consumer has not joined its group")
        return self._consumer

    def _handle_error(self, error: KafkaError) -> None:
        raise_if_refused(error, self._options["group.id"])
        self.outage.begin(error.str())

    def _log_partitions(self, event: str, partitions: Collection[TopicPartition]) -> list[int]:
        numbers = sorted(partition.partition for partition in partitions)
        if numbers:
            log.info(event, topic=self.topic, partitions=numbers)
        return numbers
