from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from feeds.errors import BrokerUnavailable, TopicRefused
from feeds.kafka.topic import Topic
from stockwatch.local.redis_server import free_port

DAY = timedelta(hours=24)


def never(_seconds: float) -> None:
    raise AssertionError("waited")


def test_the_topic_is_made_with_four_partitions_and_three_replicas(kafka: str, topic: str):
    assert Topic(kafka, topic).look().partitions == 0
    facts = Topic(kafka, topic).ensure(DAY, never)

    assert (facts.partitions, facts.replicas, facts.brokers, facts.embedded) == (4, 3, 3, True)


def test_a_topic_that_exists_is_fine(kafka: str, topic: str):
    Topic(kafka, topic).ensure(DAY, never)
    with capture_logs() as lines:
        assert Topic(kafka, topic).ensure(DAY, never).partitions == 4
    assert lines == []


def test_who_reads_from_the_embedded_cluster_first_finds_a_topic_too(kafka: str, topic: str):
    assert Topic(kafka, topic).find(never, 1.0).partitions == 4


def test_without_a_broker_it_is_a_trouble_that_passes(topic: str):
    with pytest.raises(BrokerUnavailable, match="no answer from"):
        Topic(f"127.0.0.1:{free_port()}", topic, timeout=0.2).look()


class Cluster:
    """A broker's answers to an admin client, as Kafka gives them, with refusals in the order given."""

    def __init__(self, name: str, brokers: int = 3, refusals: tuple[int, ...] = (), by_name: bool = False) -> None:
        self.name = name
        self.brokers = dict.fromkeys(range(brokers), None)
        self.refusals = list(refusals)
        self.by_name = by_name
        self.made: Any = None
        self.retention = "86400000"
        self.appears_after = 0

    def list_topics(self, topic: str | None, timeout: float) -> Any:
        topics = {}
        if self.made and self.appears_after <= 0:
            replicas = [0] * self.made.replication_factor
            partitions = {number: SimpleNamespace(replicas=replicas) for number in range(self.made.num_partitions)}
            topics[self.name] = SimpleNamespace(error=None, partitions=partitions)
        elif topic is not None:
            code = KafkaError.LEADER_NOT_AVAILABLE if self.by_name else KafkaError.UNKNOWN_TOPIC_OR_PART
            topics[topic] = SimpleNamespace(error=KafkaError(code), partitions={})
            if self.by_name:
                self.made = SimpleNamespace(num_partitions=1, replication_factor=1)
        self.appears_after -= 1
        return SimpleNamespace(topics=topics, brokers=self.brokers, cluster_id="a-real-one")

    def create_topics(self, topics: list, request_timeout: float) -> dict[str, Future]:
        answer: Future = Future()
        if self.refusals:
            answer.set_exception(KafkaException(KafkaError(self.refusals.pop(0))))
        else:
            self.made = topics[0]
            answer.set_result(None)
        return {self.name: answer}

    def describe_configs(self, resources: list, request_timeout: float) -> dict[Any, Future]:
        answer: Future = Future()
        answer.set_result({"retention.ms": SimpleNamespace(value=self.retention)})
        return {resources[0]: answer}


Given = Callable[..., tuple[Topic, Cluster]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    def given(**answers: Any) -> tuple[Topic, Cluster]:
        cluster = Cluster("ticks", **answers)
        monkeypatch.setattr("feeds.kafka.topic.AdminClient", lambda options: cluster)
        return Topic("nowhere:1", "ticks"), cluster

    return given


def test_a_cluster_with_controller_is_asked_for_retention_too(given: Given):
    topic, cluster = given()
    topic.ensure(DAY, never)

    assert (cluster.made.num_partitions, cluster.made.replication_factor) == (4, 3)
    assert cluster.made.config == {"retention.ms": "86400000"}


def test_a_topic_that_comes_late_is_waited_for(given: Given):
    topic, cluster = given()
    cluster.appears_after = 3
    waits: list[float] = []
    topic.ensure(DAY, waits.append)

    assert len(waits) == 2


def test_a_topic_that_never_comes_is_a_trouble_that_passes(given: Given):
    topic, cluster = given()
    cluster.appears_after = 10**6

    with pytest.raises(BrokerUnavailable, match="does not appear"):
        topic.ensure(DAY, lambda _seconds: None)
    with pytest.raises(BrokerUnavailable, match="the generator makes it"):
        topic.find(lambda _seconds: None, 1.0)


def test_with_one_broker_the_topic_gets_one_replica_and_the_log_says_so(given: Given):
    topic, cluster = given(brokers=1)
    with capture_logs() as lines:
        topic.ensure(DAY, never)

    assert cluster.made.replication_factor == 1
    assert "1 replicas instead of 3" in lines[0]["event"]


def test_a_refused_replication_is_lowered_step_by_step(given: Given):
    topic, cluster = given(refusals=(KafkaError.INVALID_REPLICATION_FACTOR,))
    topic.ensure(DAY, never)

    assert cluster.made.replication_factor == 2


def test_a_refused_retention_is_left_to_the_cluster_and_said(given: Given):
    topic, cluster = given(refusals=(KafkaError.POLICY_VIOLATION,))
    with capture_logs() as lines:
        topic.ensure(DAY, never)

    assert cluster.made.config == {}
    assert "the cluster's own retention" in lines[0]["event"]


def test_somebody_who_made_it_first_is_welcome(given: Given):
    topic, cluster = given(refusals=(KafkaError.TOPIC_ALREADY_EXISTS,))
    cluster.made, cluster.appears_after = SimpleNamespace(num_partitions=4, replication_factor=3), 1

    assert topic.ensure(DAY, never).partitions == 4


def test_without_rights_brokers_that_make_topics_by_themselves_do_it(given: Given):
    topic, _cluster = given(refusals=(KafkaError.TOPIC_AUTHORIZATION_FAILED,), by_name=True)

    assert topic.ensure(DAY, never).partitions == 1


@pytest.mark.parametrize(
    "refusals",
    [
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED,),
        (KafkaError.POLICY_VIOLATION, KafkaError.POLICY_VIOLATION),
        (KafkaError.INVALID_REPLICATION_FACTOR,) * 3,
    ],
)
def test_a_topic_that_is_not_there_and_may_not_be_made_is_refused(given: Given, refusals: tuple[int, ...]):
    topic, _cluster = given(refusals=refusals)

    with pytest.raises(TopicRefused, match="ticks"):
        topic.ensure(DAY, never)


def test_a_cluster_without_a_controller_yet_is_a_trouble_that_passes(given: Given):
    topic, _cluster = given(refusals=(KafkaError.NOT_CONTROLLER,))

    with pytest.raises(BrokerUnavailable):
        topic.ensure(DAY, never)


def test_what_an_existing_topic_lacks_is_said_and_it_is_used(given: Given):
    topic, cluster = given(brokers=1)
    cluster.made = SimpleNamespace(num_partitions=2, replication_factor=1)
    cluster.retention = "3600000"
    with capture_logs() as lines:
        assert topic.ensure(DAY, never).partitions == 2

    said = lines[0]
    assert (said["partitions"], said["replicas"]) == ("2, not 4", "1, not 3")
    assert said["retention_ms"] == "3600000, not 86400000"
