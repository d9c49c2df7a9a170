"""Where updates come from: a member of the processor's consumer group.

Only the thread that polls may touch it: the client serialises all calls, so another thread would stall behind `read`,
and a rebalance that waits for such a thread would never end.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from feeds.errors import BrokerUnavailable, GroupRefused, TopicRefused
from feeds.kafka.client_options import EMBEDDED, Options, client_options
from feeds.kafka.lag import EVERY, Lag
from feeds.kafka.topic import Topic
from feeds.retry import Outage

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Records taken at once at most, beside the first."""

AHEAD = {"queued.min.messages": 20_000, "queued.max.messages.kbytes": 16 * 1024}
"""Records that wait in memory for us to take them, for each partition: a twentieth of a second at full speed. The
client's own figure, 100,000, costs 40 MB more and is no faster."""

LAST_WORDS = (KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED, KafkaError._FATAL)
COMMITTED_NOTHING = (KafkaError._NO_OFFSET,)

Rebalance = Callable[[Collection[int]], None]


class UpdateConsumer:
    """One topic, read as one member of one group. Offsets are committed only up to what `store` was told.

    `outage` says once that Kafka is away; who waits for Kafka on the source's behalf shares it. With `once` it knows
    when all is read that was there when it was opened.
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
        self._name = topic
        self._topic = Topic(brokers, topic)
        self._extra = dict(options or {})
        self.outage = Outage("Kafka")
        self.lag = Lag(topic)
        self._own: set[int] = set()
        self._gone: set[int] = set()
        self._once = once
        self._assigned = False
        self._ends: dict[int, int] = {}
        session = session_timeout // timedelta(milliseconds=1)
        self._options = {
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session,
            "heartbeat.interval.ms": min(3000, session // 3),
            "auto.offset.reset": "earliest",
            "enable.auto.offset.store": False,
            "auto.commit.interval.ms": 1000,
            # A full local queue looks again after this; a second, its default, would be a gap in the prices.
            "fetch.queue.backoff.ms": 10,
            "statistics.interval.ms": EVERY,
            "stats_cb": self.lag,
            "enable.partition.eof": once,
        }
        self._options |= AHEAD | client_options(brokers, self.outage)
        if instance_id:
            self._options["group.instance.id"] = instance_id
        self._consumer: Consumer | None = None

    def open(self, on_revoke: Rebalance, on_lost: Rebalance, wait: Callable[[float], object]) -> None:
        """Joins the group. `on_revoke` may still store and commit; after `on_lost` the partitions are somebody else's.

        Raises BrokerUnavailable while there is no broker or no topic; with `once` TopicRefused where there is no topic.
        """
        facts = self._topic.look() if self._once else self._topic.find(wait, 2.0)
        if not facts.partitions:
            raise TopicRefused(f"the topic {self._name} is not there: there is nothing to read")
        consumer = Consumer(self._options | (EMBEDDED if facts.embedded else {}) | self._extra)
        if self._once:
            self._ends = self._look_ahead(consumer, facts.partitions)

        def assigned(_consumer: Consumer, partitions: list[TopicPartition]) -> None:
            self._own.update(self._say("partitions assigned", partitions))
            self._assigned = True
            self.lag.follow(self._own)
            self.outage.end()

        def taken(event: str, call: Rebalance, partitions: list[TopicPartition]) -> None:
            numbers = self._say(event, partitions)
            self._gone.update(numbers)
            self._own.difference_update(numbers)
            self.lag.follow(self._own)
            call(numbers)

        def lost(_consumer: Consumer, partitions: list[TopicPartition]) -> None:
            self.outage.begin("the group's coordinator was silent for a session, or we were")
            taken("partitions lost", on_lost, partitions)

        self._consumer = consumer
        consumer.subscribe(
            [self._name],
            on_assign=assigned,
            on_revoke=lambda _consumer, partitions: taken("partitions revoked", on_revoke, partitions),
            on_lost=lost,
        )

    def _look_ahead(self, consumer: Consumer, partitions: int) -> dict[int, int]:
        """The next offset of each partition that has records."""
        try:
            marks = {
                number: consumer.get_watermark_offsets(TopicPartition(self._name, number), timeout=5.0)
                for number in range(partitions)
            }
        except KafkaException as error:
            consumer.close()
            raise BrokerUnavailable(f"the ends of {self._name} are not known: {error.args[0].str()}") from error
        return {number: high for number, (low, high) in marks.items() if low < high}

    @property
    def drained(self) -> bool:
        """With `once`: whether all was read that was there at the start, of the partitions that are ours."""
        return self._once and self._assigned and not (self._own & self._ends.keys())

    def read(self, timeout: float = 0.05) -> list[Message]:
        """The records that are there; waits for the first at most so many seconds.

        Raises GroupRefused when this member is out for good, for instance since another has its instance id.
        """
        consumer = self._member()
        first = consumer.poll(timeout)
        if first is None:
            return []
        self._gone.clear()
        records = [first]
        try:
            records += consumer.consume(AT_ONCE, 0)
        except KafkaException as error:
            self._judge(error.args[0])
        if first.partition() in self._gone:
            # A rebalance came between the two calls: this record belongs to somebody else, who reads it again.
            del records[0]
        good = [record for record in records if record.error() is None]
        if good:
            self.outage.end()
        if len(good) < len(records):
            self._hear([record for record in records if record.error() is not None])
        if self._ends:
            self._note(good)
        return good

    def _hear(self, records: Collection[Message]) -> None:
        """Takes in what came in the place of records."""
        for record in records:
            error = record.error()
            if error is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                self._ends.pop(record.partition() or 0, None)
            else:
                self._judge(error)

    def _note(self, records: Collection[Message]) -> None:
        """Strikes off partitions whose end has come."""
        for record in records:
            partition, offset = record.partition() or 0, record.offset() or 0
            if offset + 1 >= self._ends.get(partition, offset + 2):
                del self._ends[partition]

    def store(self, offsets: Mapping[int, int]) -> None:
        """Marks offsets to be committed within a second; those of partitions that are not ours any more are left."""
        marks = [TopicPartition(self._name, partition, offset) for partition, offset in offsets.items()]
        try:
            self._member().store_offsets(offsets=marks)
        except KafkaException as error:
            # Each that is ours was stored all the same; the rest is read again by whoever has the partition now.
            log.debug("an offset is not ours to store", reason=error.args[0].str())

    def commit(self) -> None:
        """Commits what was stored and waits for the answer; a failure is logged: those records will be read again."""
        self._commit(self._member())

    def _commit(self, consumer: Consumer) -> None:
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in COMMITTED_NOTHING:
                log.warning("offsets were not committed, records will be read again", reason=error.args[0].str())

    def pause(self) -> None:
        """Stops the flow of all partitions that are ours now; `read` goes on to serve the group."""
        self._member().pause(self._member().assignment())

    def resume(self) -> None:
        """Lets all our partitions flow."""
        self._member().resume(self._member().assignment())

    def leave(self, timeout: float = 4.0) -> None:
        """Commits what was stored and leaves the group, as far as Kafka answers within so many seconds."""
        if self._consumer is None:
            return
        # Both calls wait for the group's coordinator, a minute where there is none, and take no time-out. From here on
        # the member is this thread's alone.
        leaving = threading.Thread(target=self._leave, args=(self._consumer,), name="leaving", daemon=True)
        leaving.start()
        leaving.join(timeout)
        if leaving.is_alive():
            log.warning("Kafka does not answer, the last records are not committed and will be read again")
        else:
            self._consumer = None

    def _leave(self, consumer: Consumer) -> None:
        self._commit(consumer)
        consumer.close()

    def _member(self) -> Consumer:
        if self._consumer is None:
            raise BrokerUnavailable("the group was not joined")
        return self._consumer

    def _judge(self, error: KafkaError) -> None:
        if error.code() in LAST_WORDS or error.fatal():
            raise GroupRefused(
                f"Kafka refuses this member: {error.str()}; does another process have the same KAFKA_GROUP_INSTANCE_ID?"
            )
        self.outage.begin(error.str())

    def _say(self, event: str, partitions: Collection[TopicPartition]) -> list[int]:
        numbers = sorted(partition.partition for partition in partitions)
        if numbers:
            log.info(event, topic=self._name, partitions=numbers)
        return numbers
