"""The doctor on three real brokers."""

from collections.abc import Callable
from functools import partial

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from feeds.kafka.inspection import Inspection
from stockwatch.doctor.kafka_checks import KafkaPlan, check_kafka
from tests.support.kafka.brokers import Brokers
from tests.support.servers.doctor import diagnose, expect_fault
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka


def check(brokers: Brokers, topic: str, **more: object) -> Callable:
    plan = {
        "partitions": 2,
        "replicas": 3,
        "groups": {"processor": f"group-{topic}"},
        "is_production": True,
        "timeout": 60.0,
        **more,
    }
    return partial(check_kafka, KafkaPlan(brokers=brokers.addresses, topic=topic, **plan))


def create(brokers: Brokers, topic: str, replicas: int, least: int) -> None:
    new = NewTopic(topic, 2, replicas, config={"min.insync.replicas": str(least)})
    brokers.admin.create_topics([new], request_timeout=60)[topic].result(90)
    brokers.await_in_sync(topic, count=replicas)
    wait_until(lambda: all(knows(node.address, topic) for node in brokers.nodes), 60, "the topic in all brokers")


def knows(address: str, topic: str) -> bool:
    """Returns whether one broker knows a topic. A new topic reaches one broker after the other."""
    return topic in AdminClient({"bootstrap.servers": address}).list_topics(timeout=60).topics


def test_a_topic_without_fault_and_the_lag_of_a_group_are_shown(brokers: Brokers, topic: str):
    create(brokers, topic, replicas=3, least=2)
    options = {"bootstrap.servers": brokers.addresses, "group.id": f"group-{topic}", "auto.offset.reset": "earliest"}
    with Consumer(options | {"enable.auto.commit": False, "log_level": 2}) as consumer:
        consumer.subscribe([topic])
        wait_until(lambda: consumer.poll(0.1) is None and len(consumer.assignment()) == 2, 60, "the assignment")
        consumer.commit(offsets=_at_start(consumer), asynchronous=False)
        diagnosis = diagnose(check(brokers, topic))
    assert diagnosis.lines("fail") + diagnosis.lines("warn") == [], diagnosis.findings
    assert f"kafka processor: group group-{topic} has a lag of 0, 1 members: " in diagnosis.lines("ok")
    expect_fault(diagnose(check(brokers, topic)), "kafka processor", "has no member, lag 0", level="warn")


def test_the_lag_of_a_group_does_not_count_records_that_the_topic_no_longer_holds(brokers: Brokers, topic: str):
    create(brokers, topic, replicas=3, least=2)
    options = {"bootstrap.servers": brokers.addresses, "log_level": 2}
    with Producer(options) as producer:
        for number in range(20):
            producer.produce(topic, b"{}", partition=number % 2)
        assert producer.flush(60) == 0
    for answer in brokers.admin.delete_records([TopicPartition(topic, 0, 6), TopicPartition(topic, 1, 7)]).values():
        answer.result(60)
    with Consumer(options | {"group.id": f"group-{topic}", "enable.auto.commit": False}) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 1, 2)], asynchronous=False)
        with Inspection(brokers.addresses, 60.0) as inspection:
            assert inspection.read_lag(f"group-{topic}", topic, 2) == 4 + 3


def _at_start(consumer: Consumer) -> list:
    places = consumer.assignment()
    for place in places:
        place.offset = 0
    return places


def test_a_single_replica_in_production_is_named(brokers: Brokers, topic: str):
    create(brokers, topic, replicas=1, least=1)
    expect_fault(diagnose(check(brokers, topic)), "with 1 replicas, not 3 replicas", "a lost broker loses prices")


@pytest.mark.parametrize(
    ("least", "level", "advice"), [(3, "fail", "set 2: the loss of one"), (1, "warn", "set 2: one")]
)
def test_a_wrong_minimum_of_replicas_in_sync_is_named(
    brokers: Brokers, topic: str, least: int, level: str, advice: str
):
    create(brokers, topic, replicas=3, least=least)
    expect_fault(diagnose(check(brokers, topic)), f"min.insync.replicas is {least}", advice, level=level)
