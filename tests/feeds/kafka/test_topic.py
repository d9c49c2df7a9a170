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


def fail_to_wait(_seconds: float) -> None:
    raise AssertionError("waited")


def test_the_topic_is_created_with_four_partitions_and_three_replicas(kafka: str, topic: str):
    assert Topic(kafka, topic).describe().partitions == 0
    description = Topic(kafka, topic).ensure(DAY, fail_to_wait)

    assert (description.partitions, description.replicas, description.brokers, description.embedded) == (4, 3, 3, True)


def test_an_existing_topic_with_the_wanted_properties_logs_nothing(kafka: str, topic: str):
    Topic(kafka, topic).ensure(DAY, fail_to_wait)
    with capture_logs() as lines:
        assert Topic(kafka, topic).ensure(DAY, fail_to_wait).partitions == 4
    assert lines == []


def test_the_embedded_cluster_creates_the_topic_for_its_first_reader(kafka: str, topic: str):
    assert Topic(kafka, topic).find(fail_to_wait, 1.0).partitions == 4


def test_without_a_broker_it_raises_a_transient_error(topic: str):
    with pytest.raises(BrokerUnavailable, match="no answer from"):
        Topic(f"127.0.0.1:{free_port()}", topic, timeout=0.2).describe()


class FakeCluster:
    """A fake admin client that answers as Kafka does, and refuses creations in the given order."""

    def __init__(self, name: str, brokers: int = 3, refusals: tuple[int, ...] = (), auto_create: bool = False) -> None:
        self.name = name
        self.brokers = dict.fromkeys(range(brokers), None)
        self.refusals = list(refusals)
        self.auto_create = auto_create
        self.created: Any = None
        self.retention = "86400000"
        self.lookups_until_visible = 0

    def list_topics(self, topic: str | None, timeout: float) -> Any:
        topics = {}
        if self.created and self.lookups_until_visible <= 0:
            replicas = [0] * self.created.replication_factor
            partitions = {number: SimpleNamespace(replicas=replicas) for number in range(self.created.num_partitions)}
            topics[self.name] = SimpleNamespace(error=None, partitions=partitions)
        elif topic is not None:
            code = KafkaError.LEADER_NOT_AVAILABLE if self.auto_create else KafkaError.UNKNOWN_TOPIC_OR_PART
            topics[topic] = SimpleNamespace(error=KafkaError(code), partitions={})
            if self.auto_create:
                self.created = SimpleNamespace(num_partitions=1, replication_factor=1)
        self.lookups_until_visible -= 1
        return SimpleNamespace(topics=topics, brokers=self.brokers, cluster_id="a-real-cluster")

    def create_topics(self, topics: list, request_timeout: float) -> dict[str, Future]:
        response: Future = Future()
        if self.refusals:
            response.set_exception(KafkaException(KafkaError(self.refusals.pop(0))))
        else:
            self.created = topics[0]
            response.set_result(None)
        return {self.name: response}

    def describe_configs(self, resources: list, request_timeout: float) -> dict[Any, Future]:
        response: Future = Future()
        response.set_result({"retention.ms": SimpleNamespace(value=self.retention)})
        return {resources[0]: response}


MakeCluster = Callable[..., tuple[Topic, FakeCluster]]


@pytest.fixture
def make_cluster(monkeypatch: pytest.MonkeyPatch) -> MakeCluster:
    def make_cluster(**properties: Any) -> tuple[Topic, FakeCluster]:
        cluster = FakeCluster("ticks", **properties)
        monkeypatch.setattr("feeds.kafka.topic.AdminClient", lambda options: cluster)
        return Topic("nowhere:1", "ticks"), cluster

    return make_cluster


def test_a_real_cluster_creates_the_topic_with_its_retention(make_cluster: MakeCluster):
    topic, cluster = make_cluster()
    topic.ensure(DAY, fail_to_wait)

    assert (cluster.created.num_partitions, cluster.created.replication_factor) == (4, 3)
    assert cluster.created.config == {"retention.ms": "86400000"}


def test_it_waits_for_a_topic_that_appears_late(make_cluster: MakeCluster):
    topic, cluster = make_cluster()
    cluster.lookups_until_visible = 3
    waits: list[float] = []
    topic.ensure(DAY, waits.append)

    assert len(waits) == 2


def test_a_topic_that_never_appears_raises_a_transient_error(make_cluster: MakeCluster):
    topic, cluster = make_cluster()
    cluster.lookups_until_visible = 10**6

    with pytest.raises(BrokerUnavailable, match="does not appear"):
        topic.ensure(DAY, lambda _seconds: None)
    with pytest.raises(BrokerUnavailable, match="the generator creates it"):
        topic.find(lambda _seconds: None, 1.0)


def test_with_one_broker_the_topic_has_one_replica_and_a_warning(make_cluster: MakeCluster):
    topic, cluster = make_cluster(brokers=1)
    with capture_logs() as lines:
        topic.ensure(DAY, fail_to_wait)

    assert cluster.created.replication_factor == 1
    assert lines[0]["event"] == "topic created with fewer replicas"
    assert (lines[0]["replicas"], lines[0]["wanted"]) == (1, 3)


def test_a_refused_replication_factor_is_lowered(make_cluster: MakeCluster):
    topic, cluster = make_cluster(refusals=(KafkaError.INVALID_REPLICATION_FACTOR,))
    topic.ensure(DAY, fail_to_wait)

    assert cluster.created.replication_factor == 2


def test_a_refused_retention_is_left_to_the_cluster_with_a_warning(make_cluster: MakeCluster):
    topic, cluster = make_cluster(refusals=(KafkaError.POLICY_VIOLATION,))
    with capture_logs() as lines:
        topic.ensure(DAY, fail_to_wait)

    assert cluster.created.config == {}
    assert lines[0]["event"] == "topic created with the retention of the cluster"


def test_a_topic_that_another_process_creates_first_is_used(make_cluster: MakeCluster):
    topic, cluster = make_cluster(refusals=(KafkaError.TOPIC_ALREADY_EXISTS,))
    cluster.created, cluster.lookups_until_visible = SimpleNamespace(num_partitions=4, replication_factor=3), 1

    assert topic.ensure(DAY, fail_to_wait).partitions == 4


def test_without_authorization_brokers_with_automatic_creation_create_it(make_cluster: MakeCluster):
    topic, _cluster = make_cluster(refusals=(KafkaError.TOPIC_AUTHORIZATION_FAILED,), auto_create=True)

    assert topic.ensure(DAY, fail_to_wait).partitions == 1


@pytest.mark.parametrize(
    "refusals",
    [
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED,),
        (KafkaError.POLICY_VIOLATION, KafkaError.POLICY_VIOLATION),
        (KafkaError.INVALID_REPLICATION_FACTOR,) * 3,
    ],
)
def test_a_topic_that_cannot_be_created_is_refused(make_cluster: MakeCluster, refusals: tuple[int, ...]):
    topic, _cluster = make_cluster(refusals=refusals)

    with pytest.raises(TopicRefused, match="ticks"):
        topic.ensure(DAY, fail_to_wait)


def test_a_cluster_without_a_controller_raises_a_transient_error(make_cluster: MakeCluster):
    topic, _cluster = make_cluster(refusals=(KafkaError.NOT_CONTROLLER,))

    with pytest.raises(BrokerUnavailable):
        topic.ensure(DAY, fail_to_wait)


def test_other_properties_of_an_existing_topic_are_logged_and_it_is_used(make_cluster: MakeCluster):
    topic, cluster = make_cluster(brokers=1)
    cluster.created = SimpleNamespace(num_partitions=2, replication_factor=1)
    cluster.retention = "3600000"
    with capture_logs() as lines:
        assert topic.ensure(DAY, fail_to_wait).partitions == 2

    logged = lines[0]
    assert (logged["partitions"], logged["replicas"]) == ("2, not 4", "1, not 3")
    assert logged["retention_ms"] == "3600000, not 86400000"
