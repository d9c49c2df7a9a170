"""Fixtures and functions for embedded and real Kafka brokers."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from feeds.kafka.embedded import EmbeddedCluster
from feeds.records import MISSED_HEADER, SOURCE_HEADER
from feeds.wire import Update, encode
from tests.support.kafka.brokers import Brokers
from tests.support.kafka.distribution import KafkaNotInstalled
from tests.support.kafka.traffic import MAX_MESSAGE_BYTES


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The addresses of three embedded brokers."""
    with EmbeddedCluster() as cluster:
        yield cluster.addresses


@pytest.fixture(scope="session")
def cluster() -> Iterator[Brokers]:
    """Three real brokers."""
    try:
        cluster = Brokers()
    except KafkaNotInstalled as error:
        pytest.skip(str(error))
    with cluster:
        yield cluster


@pytest.fixture
def brokers(cluster: Brokers) -> Iterator[Brokers]:
    """Three real brokers. After each test, all brokers are started or resumed again."""
    yield cluster
    cluster.restore()


@pytest.fixture
def topic() -> str:
    """The name of an unused topic."""
    return f"ticks-{uuid4().hex}"


Produce = Callable[..., None]


@pytest.fixture
def produce(kafka: str, topic: str) -> Iterator[Produce]:
    """Yields a function that produces updates or (key, value) pairs.

    If `source` or `missed` is not empty, each record has a header with this value. The function returns when Kafka has
    acknowledged all records.
    """
    options = {"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 0, "log_level": 2}
    producer = Producer(options | {"message.max.bytes": MAX_MESSAGE_BYTES})

    def send(*records: Update | tuple[bytes | None, bytes | None], source: str = "", missed: bytes = b"") -> None:
        named = [(SOURCE_HEADER, source.encode()), (MISSED_HEADER, missed)]
        headers = [(name, value) for name, value in named if value]
        for record in records:
            key, value = (record.symbol.encode(), encode(record)) if isinstance(record, Update) else record
            producer.produce(topic, value, key, headers=headers or None)
        assert producer.flush(60) == 0

    yield send
    producer.close()


def committed(brokers: str, topic: str, group: str) -> int:
    """Returns the sum of the offsets that a consumer group has committed in a topic with four partitions."""
    with Consumer({"bootstrap.servers": brokers, "group.id": group, "log_level": 2}) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(4)]
        return sum(max(each.offset, 0) for each in consumer.committed(partitions, timeout=60))
