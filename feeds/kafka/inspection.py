"""Asks a Kafka cluster about topics, consumer groups and rights, for `manage.py doctor`.

Every method waits for the brokers for a limited time, and raises BrokerUnavailable if they do not answer or refuse.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka._model import ConsumerGroupTopicPartitions, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType

from feeds.errors import BrokerUnavailable
from feeds.kafka.client_options import client_options, ignore_errors
from feeds.kafka.embedded import EMBEDDED_CLUSTER_ID
from feeds.retry import Outage

Answer = TypeVar("Answer")
TIMEOUT_SECONDS = 4.0


class TopicState(msgspec.Struct, frozen=True):
    """What the brokers say about a topic.

    `replicas` is the smallest number of replicas of a partition, `in_sync` the smallest number of those that are in
    sync. `leaderless` is the number of partitions that cannot be used. `refusal` is why the topic is not described, or
    empty. Without a topic all numbers are 0.
    """

    partitions: int = 0
    replicas: int = 0
    in_sync: int = 0
    leaderless: int = 0
    refusal: str = ""


class ClusterState(msgspec.Struct, frozen=True):
    """What the brokers say about themselves. `embedded` says whether `feeds.kafka.embedded` runs them."""

    brokers: int
    embedded: bool
    topics: Mapping[str, TopicState]


class GroupState(msgspec.Struct, frozen=True):
    """`members` is the number of running programs of a consumer group. `operations` are the rights of this client."""

    members: int
    operations: frozenset[str] | None


class Inspection:
    """A connection to a cluster. `timeout` is the longest wait for one answer, in seconds."""

    def __init__(self, brokers: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self._reason = ""
        options = client_options(brokers, Outage("Kafka")) | {"error_cb": self._note_error}
        self._client = AdminClient(options)

    def _note_error(self, error: Any) -> None:
        ignore_errors(error)
        self._reason = self._reason or str(error.str())

    def read_cluster(self) -> ClusterState:
        """Returns the number of brokers and the state of each topic that this client may see."""
        # Asks for all topics, because a request for one topic makes some clusters create this topic.
        metadata = self._ask(lambda: self._client.list_topics(timeout=self._timeout))
        return ClusterState(
            brokers=len(metadata.brokers),
            embedded=str(metadata.cluster_id).startswith(EMBEDDED_CLUSTER_ID),
            topics={name: _read_topic(topic) for name, topic in metadata.topics.items()},
        )

    def read_min_in_sync(self, topic: str) -> int:
        """Returns `min.insync.replicas` of a topic."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        answer = self._client.describe_configs([resource], request_timeout=self._timeout)[resource]
        return int(self._ask(lambda: answer.result(self._timeout))["min.insync.replicas"].value)

    def read_topic_rights(self, topic: str) -> frozenset[str] | None:
        """Returns the names of the operations that this client may do with a topic, or None if they are unknown."""
        topics = TopicCollection([topic])
        options = {"include_authorized_operations": True, "request_timeout": self._timeout}
        answer = self._client.describe_topics(topics, **options)[topic]
        return _read_operations(self._ask(lambda: answer.result(self._timeout)))

    def read_group(self, group: str) -> GroupState:
        """Returns the members of a consumer group, and the rights of this client."""
        options = {"include_authorized_operations": True, "request_timeout": self._timeout}
        answer = self._client.describe_consumer_groups([group], **options)[group]
        description = self._ask(lambda: answer.result(self._timeout))
        return GroupState(len(description.members), _read_operations(description))

    def read_lag(self, group: str, topic: str, partitions: int) -> int | None:
        """Returns how many records of a topic a group has not finished. Returns None if it has committed nothing."""
        places = [TopicPartition(topic, number) for number in range(partitions)]
        request = [ConsumerGroupTopicPartitions(group, places)]
        answer = self._client.list_consumer_group_offsets(request, request_timeout=self._timeout)[group]
        committed = self._ask(lambda: answer.result(self._timeout)).topic_partitions
        offsets = {place.partition: place.offset for place in committed if place.offset >= 0}
        if not offsets:
            return None
        ends = self._read_ends(places)
        behind: int = sum(max(0, end - offsets.get(partition, 0)) for partition, end in ends.items())
        return behind

    def _read_ends(self, places: list[TopicPartition]) -> dict[int, int]:
        specification = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        request = dict.fromkeys(places, specification)
        answers = self._client.list_offsets(request, request_timeout=self._timeout)
        return {
            place.partition: int(self._ask(lambda answer=answer: answer.result(self._timeout)).offset)  # type: ignore[misc]
            for place, answer in answers.items()
        }

    def _ask(self, request: Callable[[], Answer]) -> Answer:
        try:
            return request()
        except KafkaException as error:
            raise BrokerUnavailable(self._reason or str(error.args[0].str())) from error
        except TimeoutError as error:
            raise BrokerUnavailable(self._reason or "no answer in time") from error


def _read_topic(topic: Any) -> TopicState:
    if topic.error is not None:
        return TopicState(refusal=str(topic.error.str()))
    partitions = list(topic.partitions.values())
    return TopicState(
        partitions=len(partitions),
        replicas=min((len(each.replicas) for each in partitions), default=0),
        in_sync=min((len(each.isrs) for each in partitions), default=0),
        leaderless=sum(each.leader < 0 for each in partitions),
    )


def _read_operations(description: Any) -> frozenset[str] | None:
    operations = description.authorized_operations
    return None if operations is None else frozenset(operation.name for operation in operations)
