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
    source = UpdateConsumer(brokers.addresses, topic, f"group-{topic}", SESSION, instance)
    source.open(on_revoke, on_revoke, Event().wait)
    return source


def sent(brokers: Brokers, topic: str, number: int) -> None:
    sink = UpdateProducer(brokers.addresses, topic)
    for symbol in ("AAPL", "GOOG", "BRK.B", "^GSPC", "TSLA", "AMZN", "MSFT", "NVDA"):
        sink.send(symbol, encode(Update(symbol, 1.5, number, number)))
    assert sink.close(30) == 0


def shares(*members: UpdateConsumer) -> list[int]:
    return [len(member._member().assignment()) for member in members]


def test_a_topic_keeps_its_records_as_long_as_it_was_told_and_wants_two_in_sync(cluster: Brokers, topic: str):
    assert config(cluster, topic)["retention.ms"] == str(24 * 3600 * 1000)
    assert config(cluster, topic)["min.insync.replicas"] == "2"
    assert cluster.in_sync(topic) == 3


def test_a_topic_of_another_retention_is_used_and_said(cluster: Brokers, topic: str):
    with capture_logs() as lines:
        Topic(cluster.addresses, topic).ensure(timedelta(hours=1), Event().wait)

    assert [(line["log_level"], line["retention_ms"]) for line in lines] == [("warning", "86400000, not 3600000")]


def test_a_broker_that_was_paused_answers_again(brokers: Brokers):
    node = brokers.nodes[0]
    node.pause()
    brokers.await_alive(2)
    node.proceed()
    brokers.await_alive(3)


def test_a_broker_that_was_stopped_comes_back_with_what_it_held(brokers: Brokers, topic: str):
    sent(brokers, topic, 1)
    brokers.nodes[1].stop()
    brokers.await_alive(2)
    assert brokers.in_sync(topic) == 2
    brokers.nodes[1].start()
    brokers.await_in_sync(topic)


def test_a_static_member_that_comes_back_gets_its_partitions_without_a_rebalance(cluster: Brokers, topic: str):
    revoked: list[int] = []
    first, second = (join(cluster, topic, name, revoked.extend) for name in ("one", "two"))
    sent(cluster, topic, 1)
    came = []
    wait_until(lambda: came.extend(first.read() + second.read()) or len(came) >= 8, 60)
    wait_until(lambda: [first.read(), second.read()] and shares(first, second) == [2, 2], 60, "an even share")
    revoked.clear()
    mine = {each.partition for each in second._member().assignment()}
    second._consumer = None  # gone without a word, as a process that was killed

    again = join(cluster, topic, "two", revoked.extend)
    wait_until(lambda: [first.read(), again.read()] and again._member().assignment(), 60, "its share")
    assert {each.partition for each in again._member().assignment()} == mine
    assert revoked == []
    for member in (first, again):
        member.leave()


def test_a_second_member_of_the_same_name_puts_the_first_out(cluster: Brokers, topic: str):
    first = join(cluster, topic, "one", lambda _partitions: None)
    wait_until(lambda: [first.read()] and first._member().assignment(), 60, "an assignment")
    second = join(cluster, topic, "one", lambda _partitions: None)
    wait_until(lambda: [second.read()] and second._member().assignment(), 60, "its assignment")

    def refused() -> bool:
        try:
            first.read()
        except GroupRefused as error:
            return "KAFKA_GROUP_INSTANCE_ID" in str(error)
        return False

    wait_until(refused, 60, "a refusal")
    second.leave()
    first.leave()
