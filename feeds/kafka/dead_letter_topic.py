"""Writes dead letters to the dead letter topic, and reads and replays dead letters."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from time import monotonic

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from feeds.dead_letters import DeadLetter, parse_dead_letter
from feeds.errors import BadRecord, BrokerUnavailable, DeadLetterTopicRefused, FeedError
from feeds.kafka.client_options import Options, client_options, ignore_errors
from feeds.kafka.topic import Topic, TopicDescription
from feeds.retry import Outage

log = structlog.get_logger(__name__)

ACK_TIMEOUT = timedelta(seconds=60)
"""How long to wait for the acknowledgement of a dead letter."""

IDEMPOTENT = {"enable.idempotence": True, "acks": "all", "linger.ms": 5, "partitioner": "murmur2_random"}
PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
MAX_RECORDS = 500
"""How many records one `consume` call returns at most."""


class DeadLetterTopic:
    """Writes dead letters to their topic. Not thread-safe.

    `pending` counts the dead letters that are not acknowledged yet. `failure` says why a dead letter could not be
    written, and is empty if there was no failure. After a failure, the processor must stop, and must not commit the
    offset of the refused record.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        retention: timedelta,
        options: Options | None = None,
        ack_timeout: timedelta = ACK_TIMEOUT,
    ) -> None:
        self.name = topic
        self.failure = ""
        self.pending = 0
        self._retention = retention
        self._topic = Topic(brokers, topic, options)
        self._description: TopicDescription | None = None
        self._options = (
            client_options(brokers, Outage("Kafka"), options)
            | IDEMPOTENT
            | {"message.timeout.ms": ack_timeout // timedelta(milliseconds=1)}
        )
        self._producer: Producer | None = None

    def prepare(self, wait: Callable[[float], object]) -> None:
        """Creates the topic if it does not exist. A failure is logged, and `send` tries again."""
        try:
            self._description = self._topic.ensure(self._retention, wait)
        except FeedError as error:
            log.warning("dead letter topic not ready", topic=self.name, reason=str(error))

    def send(self, dead_letter: DeadLetter, on_written: Callable[[], object], wait: Callable[[float], object]) -> None:
        """Queues a dead letter. If the dead letter cannot be queued, sets `failure`.

        After the brokers have acknowledged the dead letter, `poll` calls `on_written`.
        """
        if self.failure:
            return
        if self._description is None:
            self.prepare(wait)
        if self._description is None:
            self.failure = "the topic does not exist"
            return
        self._producer = self._producer or Producer(self._options)
        try:
            self._producer.produce(
                self.name,
                dead_letter.value,
                dead_letter.key,
                # The partition number of the refused record, so that dead letters have the same order as the refused
                # records.
                partition=dead_letter.origin[1] % self._description.partitions,
                on_delivery=partial(self._on_delivery, on_written),
                headers=[(name, text.encode()) for name, text in dead_letter.headers.items()],
            )
        except BufferError:
            self.failure = "the producer queue is full"
        except KafkaException as error:
            self.failure = error.args[0].str()
        else:
            self.pending += 1

    def poll(self, timeout: float = 0.0) -> None:
        """Handles acknowledgements. Waits up to `timeout` seconds for the first acknowledgement."""
        if self._producer is not None:
            self._producer.poll(timeout)

    def check(self) -> None:
        """Raises DeadLetterTopicRefused if a dead letter could not be written."""
        if self.failure:
            raise DeadLetterTopicRefused(
                f"a dead letter cannot be written to {self.name}: {self.failure}. No offset behind that record is "
                f"committed; make the topic writable and start again"
            )

    def close(self) -> None:
        """Drops dead letters that are not acknowledged, and closes the client."""
        if self._producer is not None:
            # The offsets of their refused records are not committed, so that the records will be read again.
            self._producer.purge()
            self._producer.flush(1)
            self._producer.close()
            self._producer = None

    def _on_delivery(self, on_written: Callable[[], object], error: KafkaError | None, _record: Message) -> None:
        self.pending -= 1
        if error is None:
            on_written()
        elif error.code() not in PURGED:
            self.failure = self.failure or error.str()


def read_dead_letters(brokers: str, topic: str, timeout: float = 15.0) -> Iterator[DeadLetter]:
    """Yields every dead letter of the topic, partition by partition. Skips records that are no dead letters.

    Raises BrokerUnavailable if Kafka does not answer, or returns no record for `timeout` seconds.
    """
    options = client_options(brokers, Outage("Kafka")) | {
        "group.id": "stockwatch-deadletters",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 5,
        "error_cb": ignore_errors,
    }
    if not Topic(brokers, topic).describe().partitions:
        return
    consumer = Consumer(options)
    try:
        for partition in sorted(consumer.list_topics(topic, timeout=timeout).topics[topic].partitions):
            yield from _read_partition(consumer, TopicPartition(topic, partition), timeout)
    except KafkaException as error:
        raise BrokerUnavailable(f"{topic} cannot be read: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _read_partition(consumer: Consumer, source: TopicPartition, timeout: float) -> Iterator[DeadLetter]:
    low, high = consumer.get_watermark_offsets(source, timeout=timeout)
    if low >= high:
        return
    consumer.assign([TopicPartition(source.topic, source.partition, low)])
    progress_at = monotonic()
    while True:
        for record in consumer.consume(MAX_RECORDS, 0.1):
            progress_at = monotonic()
            error = record.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if error is None and (dead_letter := _parse(record)) is not None:
                yield dead_letter
            if error is not None or (record.offset() or 0) >= high - 1:
                return
        if monotonic() - progress_at > timeout:
            raise BrokerUnavailable(f"{source.topic} could not be read within {timeout:g} s")


def _parse(record: Message) -> DeadLetter | None:
    try:
        return parse_dead_letter(record.key(), record.value(), dict(record.headers() or {}))
    except BadRecord as error:
        log.warning("record skipped", reason=str(error), partition=record.partition(), offset=record.offset())
        return None


class ReplayResult(msgspec.Struct):
    """The result of a replay.

    `acknowledged` and `unacknowledged` count the records that were sent again. `truncated` are dead letters that were
    not replayed, because their key or value is incomplete.
    """

    acknowledged: int = 0
    unacknowledged: int = 0
    truncated: list[DeadLetter] = []


def replay(brokers: str, dead_letters: Iterable[DeadLetter], timeout: float = 30.0) -> ReplayResult:
    """Sends each refused record again, to the topic that the record came from.

    Truncated dead letters are left out. Waits up to `timeout` seconds for acknowledgements.
    """
    result = ReplayResult()

    def count(error: KafkaError | None, _record: Message) -> None:
        result.acknowledged += error is None
        result.unacknowledged += error is not None

    message_timeout = {"message.timeout.ms": int(timeout * 1000)}
    producer = Producer(client_options(brokers, Outage("Kafka")) | IDEMPOTENT | message_timeout)
    for dead_letter in dead_letters:
        if dead_letter.truncated:
            result.truncated.append(dead_letter)
            continue
        while True:
            try:
                producer.produce(dead_letter.origin[0], dead_letter.value, dead_letter.key, on_delivery=count)
                break
            except BufferError:
                producer.poll(0.1)
    left = producer.flush(timeout + 1)  # flush calls `count`, so it must end before the addition
    result.unacknowledged += left
    producer.close()
    return result
