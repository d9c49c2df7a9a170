from datetime import timedelta

import pytest
from confluent_kafka import Consumer, TopicPartition
from structlog.testing import capture_logs

from feeds import metrics
from feeds.kafka.consumer import UpdateConsumer
from feeds.wire import Update
from tests.support.kafka.fixtures import Produce
from tests.support.times import at
from tests.support.waiting import wait_until


def commit(kafka: str, topic: str, offset: int) -> None:
    """Commits an offset of all partitions for a group with the name of the topic."""
    client = Consumer({"bootstrap.servers": kafka, "group.id": topic, "allow.auto.create.topics": True})
    numbers = client.list_topics(topic).topics[topic].partitions
    partitions = [TopicPartition(topic, number, offset) for number in numbers]
    client.commit(offsets=partitions, asynchronous=False)
    client.close()


def read(kafka: str, topic: str, count: int) -> tuple[list[int], list[dict]]:
    """Reads records with the group of `commit`. Returns their offsets and the logged errors."""
    consumer = UpdateConsumer(kafka, topic, topic, timedelta(seconds=3))
    consumer.open(lambda _: None, lambda _: None, lambda _: None)
    records = []
    with capture_logs() as lines:
        wait_until(lambda: records.extend(consumer.read()) or len(records) >= count)
    consumer.leave()
    return [record.offset() for record in records], [line for line in lines if line["log_level"] == "error"]


def test_records_that_were_deleted_before_they_were_read_are_counted_and_logged(
    kafka: str, topic: str, produce: Produce
):
    commit(kafka, topic, 0)
    produce(*((b"AAPL", b"x" * 60_000) for _ in range(120)))  # the embedded cluster keeps 5 MiB
    before = metrics.LOST_RECORDS._value.get()
    offsets, errors = read(kafka, topic, 1)

    assert offsets[0] > 0
    assert [(line["expected"], line["first"], line["lost"]) for line in errors] == [(0, offsets[0], offsets[0])]
    assert metrics.LOST_RECORDS._value.get() - before == offsets[0]


def test_a_topic_that_was_created_again_is_counted_and_logged(kafka: str, topic: str, produce: Produce):
    commit(kafka, topic, 1_000)  # of the deleted topic
    produce(Update("AAPL", 1.5, at(1), 1))
    before = metrics.RECREATED._value.get()
    offsets, errors = read(kafka, topic, 1)

    assert offsets == [0]
    assert [(line["expected"], line["first"]) for line in errors] == [(1_000, 0)]
    assert "created again" in errors[0]["event"]
    assert metrics.RECREATED._value.get() - before == 1


@pytest.mark.parametrize("committed", [False, True])
def test_a_group_that_starts_or_continues_without_a_loss_logs_nothing(
    committed: bool, kafka: str, topic: str, produce: Produce
):
    if committed:
        commit(kafka, topic, 2)
    produce(*(Update("AAPL", 1.5, at(number), number) for number in range(5)))
    offsets, errors = read(kafka, topic, 3)

    assert offsets[:3] == ([2, 3, 4] if committed else [0, 1, 2])
    assert errors == []
