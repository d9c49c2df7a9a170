"""Asks a Kafka cluster about topics, consumer groups and rights, for `manage.py doctor`.

Every method raises BrokerUnavailable if the brokers refuse a request, or do not answer within a time limit.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

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
    """The state of a topic, as the brokers report it.

    `replicas` is the least number of replicas that a partition has. `in_sync` is the least number of replicas in sync
    that a partition has. `leaderless` is the number of partitions without a leader, which cannot be read or written. If
    the brokers do not describe the topic, `refusal` is the reason; otherwise `refusal` is empty. All numbers are 0 if
    the topic does not exist or is not described.
    """

    partitions: int = 0
    replicas: int = 0
    in_sync: int = 0
    leaderless: int = 0
    refusal: str = ""


class ClusterState(msgspec.Struct, frozen=True):
    """The state of a cluster, as its brokers report it.

    `brokers` is the number of brokers. `embedded` says whether `feeds.kafka.embedded` runs the brokers. `topics` maps
    the name of each topic to its state. `addresses` are the addresses of the brokers, such as `kafka-1:9092`.
    """

    brokers: int
    embedded: bool
    topics: Mapping[str, TopicState]
    addresses: frozenset[str] = frozenset()


class GroupState(msgspec.Struct, frozen=True):
    """The state of a consumer group.

    `members` is the number of running programs of the group. `operations` are the names of the operations that this
    client may do with the group, or None if they are unknown.
    """

    members: int
    operations: frozenset[str] | None


class Inspection:
    """Asks one cluster for its state. `timeout` is the longest wait for one answer, in seconds.

    The first answer comes from one of the brokers that `brokers` names.
    """

    def __init__(self, brokers: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self._reason = ""
        options = client_options(brokers, Outage("Kafka")) | {"error_cb": self._note_error}
        self._client = AdminClient(options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.__exit__(None, None, None)

    def _note_error(self, error: Any) -> None:
        ignore_errors(error)
        self._reason = self._reason or str(error.str())

    def read_cluster(self) -> ClusterState:
        """Returns the number of brokers and the state of each topic that this client may see."""
        # Asks for all topics, because some clusters create a missing topic when a client asks for it by name.
        metadata = self._ask(lambda: self._client.list_topics(timeout=self._timeout))
        return ClusterState(
            brokers=len(metadata.brokers),
            embedded=str(metadata.cluster_id).startswith(EMBEDDED_CLUSTER_ID),
            topics={name: _read_topic(topic) for name, topic in metadata.topics.items()},
            addresses=frozenset(f"{broker.host}:{broker.port}" for broker in metadata.brokers.values()),
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
        """Returns the state of a consumer group."""
        options = {"include_authorized_operations": True, "request_timeout": self._timeout}
        answer = self._client.describe_consumer_groups([group], **options)[group]
        description = self._ask(lambda: answer.result(self._timeout))
        return GroupState(len(description.members), _read_operations(description))

    def read_lag(self, group: str, topic: str, partitions: int) -> int | None:
        """Returns how many records of a topic a group has not finished; None if the group has committed no offset.

        Records that the topic no longer holds do not count: the group cannot read them.
        """
        places = [TopicPartition(topic, number) for number in range(partitions)]
        request = [ConsumerGroupTopicPartitions(group, places)]
        answer = self._client.list_consumer_group_offsets(request, request_timeout=self._timeout)[group]
        committed = self._ask(lambda: answer.result(self._timeout)).topic_partitions
        offsets = {place.partition: place.offset for place in committed if place.offset >= 0}
        if not offsets:
            return None
        begins = self._read_offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        ends = self._read_offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        # A group begins at the first record of a partition for which it has committed no offset.
        behind: int = sum(max(0, end - max(offsets.get(number, 0), begins[number])) for number, end in ends.items())
        return behind

    def _read_offsets(self, places: list[TopicPartition], specification: OffsetSpec) -> dict[int, int]:
        """Returns a dict from partition to an offset, the first or the last as `specification` says."""
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
