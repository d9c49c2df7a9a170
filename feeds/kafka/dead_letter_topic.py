"""Where records go that are no updates, and how they are read back: the topic of dead letters.

A letter counts as put aside when the brokers have acknowledged it, not before.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from time import monotonic

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from feeds.dead_letters import DeadLetter, parse_dead_letter
from feeds.errors import BadRecord, BrokerUnavailable, DeadLetterTopicRefused, FeedError
from feeds.kafka.client_options import Options, client_options
from feeds.kafka.topic import Facts, Topic
from feeds.retry import Outage

log = structlog.get_logger(__name__)

PATIENCE = timedelta(seconds=60)
"""How long a letter may wait to be acknowledged: longer than a broker's pause, which must not end the processor."""

IDEMPOTENT = {"enable.idempotence": True, "acks": "all", "linger.ms": 5, "partitioner": "murmur2_random"}


class DeadLetterTopic:
    """Takes letters. Not for several threads.

    `refusal` says why one could not be put aside; whoever sees it must stop, for nothing behind it may be committed.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        retention: timedelta,
        options: Options | None = None,
        patience: timedelta = PATIENCE,
    ) -> None:
        self.topic = topic
        self.refusal = ""
        self.pending = 0
        self._retention = retention
        self._place = Topic(brokers, topic, options)
        self._facts: Facts | None = None
        self._options = (
            client_options(brokers, Outage("Kafka"), options)
            | IDEMPOTENT
            | {"message.timeout.ms": patience // timedelta(milliseconds=1)}
        )
        self._producer: Producer | None = None

    def prepare(self, wait: Callable[[float], object]) -> None:
        """Makes the topic where it is not. A failure is logged only: it is tried again when there is a letter."""
        try:
            self._facts = self._place.ensure(self._retention, wait)
        except FeedError as error:
            log.warning(
                "there is no topic for dead letters yet: the first bad record will ask again", reason=str(error)
            )

    def send(self, letter: DeadLetter, done: Callable[[], object], wait: Callable[[float], object]) -> None:
        """Queues a letter; `done` is called by a later `serve`, when it is acknowledged."""
        if self.refusal:
            return
        if self._facts is None:
            self.prepare(wait)
        if self._facts is None:
            self.refusal = "the topic is not there"
            return
        self._producer = self._producer or Producer(self._options)
        try:
            self._producer.produce(
                self.topic,
                letter.value,
                letter.key,
                # That of the record, so that letters keep the order of what was refused.
                partition=letter.origin[1] % self._facts.partitions,
                on_delivery=partial(self._report, done),
                headers=[(name, text.encode()) for name, text in letter.headers.items()],
            )
        except BufferError:
            self.refusal = "the queue towards it is full"
        except KafkaException as error:
            self.refusal = error.args[0].str()
        else:
            self.pending += 1

    def serve(self, timeout: float = 0.0) -> None:
        """Takes in acknowledgements; waits for one at most so many seconds."""
        if self._producer is not None:
            self._producer.poll(timeout)

    def check(self) -> None:
        """Raises LettersRefused when a letter could not be put aside."""
        if self.refusal:
            raise DeadLetterTopicRefused(
                f"a bad record cannot be put aside in {self.topic}: {self.refusal}. Nothing behind it is committed; "
                f"see to it that the topic can be written, and start again"
            )

    def close(self) -> None:
        """Drops what is not acknowledged: its records are not committed, and will be refused again."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1)
            self._producer.close()
            self._producer = None

    def _report(self, done: Callable[[], object], error: KafkaError | None, _record: Message) -> None:
        self.pending -= 1
        if error is None:
            done()
        elif error.code() not in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            self.refusal = self.refusal or error.str()


def read_dead_letters(brokers: str, topic: str, timeout: float = 15.0) -> Iterator[DeadLetter]:
    """Every letter that the topic holds, each partition in its order. Raises BrokerUnavailable."""
    options = client_options(brokers, Outage("Kafka")) | {
        "group.id": "stockwatch-deadletters",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 5,
        "error_cb": lambda _error: None,  # a reading that fails says so itself
    }
    if not Topic(brokers, topic).look().partitions:
        return
    consumer = Consumer(options)
    try:
        for partition in sorted(consumer.list_topics(topic, timeout=timeout).topics[topic].partitions):
            yield from _read_partition(consumer, TopicPartition(topic, partition), timeout)
    except KafkaException as error:
        raise BrokerUnavailable(f"{topic} cannot be read: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _read_partition(consumer: Consumer, place: TopicPartition, timeout: float) -> Iterator[DeadLetter]:
    low, high = consumer.get_watermark_offsets(place, timeout=timeout)
    if low >= high:
        return
    consumer.assign([TopicPartition(place.topic, place.partition, low)])
    answered = monotonic()
    while True:
        for record in consumer.consume(500, 0.1):
            answered = monotonic()
            error = record.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if error is None and (letter := _open(record)) is not None:
                yield letter
            if error is not None or (record.offset() or 0) >= high - 1:
                return
        if monotonic() - answered > timeout:
            raise BrokerUnavailable(f"{place.topic} could not be read within {timeout:g} s")


def _open(record: Message) -> DeadLetter | None:
    try:
        return parse_dead_letter(record.key(), record.value(), dict(record.headers() or {}))
    except BadRecord as error:
        log.warning("skipped", reason=str(error), partition=record.partition(), offset=record.offset())
        return None


class Replay(msgspec.Struct):
    """What became of letters: how many were acknowledged, how many not in time, and those refused, being cut."""

    acked: int = 0
    missing: int = 0
    cut: list[DeadLetter] = []


def replay(brokers: str, letters: Iterable[DeadLetter], timeout: float = 30.0) -> Replay:
    """Produces each letter's own key and value to the topic that it came from."""
    report = Replay()

    def count(error: KafkaError | None, _record: Message) -> None:
        report.acked += error is None
        report.missing += error is not None

    patience = {"message.timeout.ms": int(timeout * 1000)}
    producer = Producer(client_options(brokers, Outage("Kafka")) | IDEMPOTENT | patience)
    for letter in letters:
        if letter.cut:
            report.cut.append(letter)
            continue
        while True:
            try:
                producer.produce(letter.origin[0], letter.value, letter.key, on_delivery=count)
                break
            except BufferError:
                producer.poll(0.1)
    left = producer.flush(timeout + 1)  # which calls `count`
    report.missing += left
    producer.close()
    return report
