from collections.abc import Callable
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType
from structlog.testing import capture_logs

from feeds.errors import GroupRefused
from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.producer import UpdateProducer
from feeds.kafka.topic import Topic
from feeds.wire import Update, encode
from tests.support.kafka.brokers import Brokers
from tests.support.times import at
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka
SESSION = timedelta(seconds=6)


@pytest.fixture
def topic(cluster: Brokers) -> str:
    name = f"ticks-{uuid4().hex}"
    Topic(cluster.addresses, name).ensure(timedelta(hours=24), Event().wait)
    return name


def config(brokers: Brokers, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return {name: entry.value for name, entry in brokers.admin.describe_configs([resource])[resource].result().items()}


def join(brokers: Brokers, topic: str, instance: str, on_revoke: Callable[..., object]) -> UpdateConsumer:
    member = UpdateConsumer(brokers.addresses, topic, f"group-{topic}", SESSION, instance)
    member.open(on_revoke, on_revoke, Event().wait)
    return member


def send(brokers: Brokers, topic: str, number: int) -> None:
    producer = UpdateProducer(brokers.addresses, topic)
    for symbol in ("AAPL", "GOOG", "BRK.B", "^GSPC", "TSLA", "AMZN", "MSFT", "NVDA"):
        producer.send(symbol, encode(Update(symbol, 1.5, at(number), number)))
    assert producer.close(60) == 0


def assignment_sizes(*members: UpdateConsumer) -> list[int]:
    return [len(member._opened().assignment()) for member in members]


def test_a_topic_has_its_retention_and_two_required_replicas(cluster: Brokers, topic: str):
    assert config(cluster, topic)["retention.ms"] == str(24 * 3600 * 1000)
    assert config(cluster, topic)["min.insync.replicas"] == "2"
    assert cluster.in_sync(topic) == 3


def test_another_retention_of_an_existing_topic_is_logged(cluster: Brokers, topic: str):
    with capture_logs() as lines:
        Topic(cluster.addresses, topic).ensure(timedelta(hours=1), Event().wait)

    assert [(line["log_level"], line["retention_ms"]) for line in lines] == [("warning", "86400000, not 3600000")]


def test_a_broker_answers_again_after_a_pause(brokers: Brokers):
    node = brokers.nodes[0]
    node.pause()
    brokers.await_alive(2)
    node.resume()
    brokers.await_alive(3)


def test_a_broker_has_its_records_after_a_restart(brokers: Brokers, topic: str):
    send(brokers, topic, 1)
    brokers.nodes[1].stop()
    brokers.await_alive(2)
    assert brokers.in_sync(topic) == 2
    brokers.nodes[1].start()
    brokers.await_in_sync(topic)


def test_a_static_member_that_restarts_gets_its_partitions_without_a_rebalance(cluster: Brokers, topic: str):
    revoked: list[int] = []
    first, second = (join(cluster, topic, name, revoked.extend) for name in ("one", "two"))
    send(cluster, topic, 1)
    records = []
    wait_until(lambda: records.extend(first.read() + second.read()) or len(records) >= 8, 60)
    wait_until(
        lambda: [first.read(), second.read()] and assignment_sizes(first, second) == [2, 2], 60, "an even assignment"
    )
    revoked.clear()
    partitions = {each.partition for each in second._opened().assignment()}
    second._consumer = None  # leaves without notice, like a killed process

    again = join(cluster, topic, "two", revoked.extend)
    wait_until(lambda: [first.read(), again.read()] and again._opened().assignment(), 60, "its assignment")
    assert {each.partition for each in again._opened().assignment()} == partitions
    assert revoked == []
    for member in (first, again):
        member.leave()


def test_a_second_member_with_the_same_instance_id_replaces_the_first(cluster: Brokers, topic: str):
    first = join(cluster, topic, "one", lambda _partitions: None)
    wait_until(lambda: [first.read()] and first._opened().assignment(), 60, "an assignment")
    second = join(cluster, topic, "one", lambda _partitions: None)
    wait_until(lambda: [second.read()] and second._opened().assignment(), 60, "its assignment")

    def refused() -> bool:
        try:
            first.read()
        except GroupRefused as error:
            return "KAFKA_GROUP_INSTANCE_ID" in str(error)
        return False

    wait_until(refused, 60, "a refusal")
    second.leave()
    first.leave()
