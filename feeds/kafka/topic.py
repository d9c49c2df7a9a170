"""Describes a topic, and creates a topic that does not exist."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic
from django.conf import settings

from feeds.errors import BrokerUnavailable, TopicRefused
from feeds.kafka.client_options import Options, client_options, ignore_errors
from feeds.kafka.embedded import EMBEDDED_CLUSTER_ID
from feeds.retry import Outage

log = structlog.get_logger(__name__)

AUTHORIZATION_ERRORS = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
CONFIG_ERRORS = (KafkaError.POLICY_VIOLATION, KafkaError.INVALID_CONFIG)
CREATE_TIMEOUT_SECONDS = 5.0
# The response to a creation arrives before the topic exists.
APPEAR_ATTEMPTS, APPEAR_PAUSE_SECONDS = 50, 0.1
"""How many times to check whether a created topic exists, and the pause between checks."""

FIND_PAUSE_SECONDS = 0.25
WATERMARK_TIMEOUT_SECONDS = 5.0


class TopicDescription(msgspec.Struct, frozen=True):
    """What the cluster reports about a topic.

    `partitions` is 0 if the topic does not exist. `brokers` is the number of brokers that are alive. `embedded` says
    whether the cluster is embedded, see `feeds.kafka.embedded`.
    """

    partitions: int
    replicas: int
    brokers: int
    embedded: bool


class Topic:
    """Describes and creates one topic on one cluster."""

    def __init__(self, brokers: str, name: str, options: Options | None = None, timeout: float = 2.0) -> None:
        self._brokers = brokers
        self._name = name
        self._timeout = timeout
        self._options = client_options(brokers, Outage("Kafka"), options) | {"error_cb": ignore_errors}
        self._client: AdminClient | None = None

    def describe(self) -> TopicDescription:
        """Returns a description of the topic without creating the topic. Raises BrokerUnavailable."""
        # Asks for all topics, because a request for one topic makes some clusters create this topic with their own
        # defaults.
        return self._parse(self._metadata(None))

    def find(self, wait: Callable[[float], object], seconds: float) -> TopicDescription:
        """Waits up to `seconds` seconds until the topic exists. Returns its description.

        Raises BrokerUnavailable if the topic still does not exist.
        """
        for _ in range(max(int(seconds / FIND_PAUSE_SECONDS), 1)):
            if (description := self.describe()).partitions:
                return description
            if description.embedded:
                self._metadata(self._name)  # an embedded cluster creates the topic for any client
            else:
                wait(FIND_PAUSE_SECONDS)
        raise BrokerUnavailable(f"the topic {self._name} does not exist yet: the generator creates it")

    def ensure(self, retention: timedelta, wait: Callable[[float], object]) -> TopicDescription:
        """Creates the topic if it does not exist. Returns its description.

        Raises TopicRefused if the topic cannot be created, and BrokerUnavailable if a later call may succeed.
        """
        description = self.describe()
        if description.partitions:
            self._log_differences(description, retention)
            return description
        if description.embedded:
            self._metadata(self._name)
        else:
            self._create(min(settings.KAFKA_TOPIC_REPLICAS, description.brokers), retention)
        return self._await_created(wait)

    def _await_created(self, wait: Callable[[float], object]) -> TopicDescription:
        for _ in range(APPEAR_ATTEMPTS):
            if (created := self.describe()).partitions:
                log.info("topic created", topic=self._name, partitions=created.partitions, replicas=created.replicas)
                if created.embedded:
                    log.info("embedded Kafka ignores the retention: it keeps the newest 5 MiB of a partition")
                return created
            wait(APPEAR_PAUSE_SECONDS)
        raise BrokerUnavailable(f"the topic {self._name} was created, but does not appear")

    def _create(self, replicas: int, retention: timedelta) -> None:
        """Creates the topic, if necessary with fewer replicas or with the retention of the cluster."""
        config: dict[str, str] = {"retention.ms": str(retention // timedelta(milliseconds=1))}
        if replicas < settings.KAFKA_TOPIC_REPLICAS:
            self._log_fewer_replicas(replicas, "too few brokers")
        while (error := self._request_creation(replicas, config)) is not None:
            if error.code() == KafkaError.INVALID_REPLICATION_FACTOR and replicas > 1:
                replicas -= 1
                self._log_fewer_replicas(replicas, error.str())
            elif error.code() in CONFIG_ERRORS and config:
                config = {}
                log.warning("topic created with the retention of the cluster", topic=self._name, reason=error.str())
            elif error.code() in AUTHORIZATION_ERRORS:
                self._create_by_metadata_request(error)
                return
            elif error.code() in (*CONFIG_ERRORS, KafkaError.INVALID_REPLICATION_FACTOR):
                raise TopicRefused(f"the topic {self._name} does not exist and cannot be created: {error.str()}")
            else:
                raise BrokerUnavailable(f"the topic {self._name} could not be created yet: {error.str()}")

    def _log_fewer_replicas(self, replicas: int, reason: str) -> None:
        wanted = settings.KAFKA_TOPIC_REPLICAS
        log.warning(
            "topic created with fewer replicas", topic=self._name, replicas=replicas, wanted=wanted, reason=reason
        )

    def _request_creation(self, replicas: int, config: dict[str, str]) -> KafkaError | None:
        """Sends one request to create the topic. Returns the error, or None if the topic exists now."""
        topic = NewTopic(self._name, settings.KAFKA_TOPIC_PARTITIONS, replicas, config=config)
        try:
            self._admin().create_topics([topic], request_timeout=CREATE_TIMEOUT_SECONDS)[self._name].result()
        except KafkaException as error:
            cause: KafkaError = error.args[0]
            return None if cause.code() == KafkaError.TOPIC_ALREADY_EXISTS else cause
        return None

    def _create_by_metadata_request(self, refusal: KafkaError) -> None:
        """Asks for the topic by name. Brokers with auto.create.topics.enable then create the topic.

        Raises TopicRefused if no broker creates the topic.
        """
        log.warning("not authorized to create the topic, relying on the brokers to create it", reason=refusal.str())
        topic = self._metadata(self._name).topics.get(self._name)
        if topic is None or (topic.error is not None and topic.error.code() != KafkaError.LEADER_NOT_AVAILABLE):
            raise TopicRefused(
                f"the topic {self._name} does not exist and this client is not authorized to create it: "
                f"{refusal.str()}; create it with {settings.KAFKA_TOPIC_PARTITIONS} partitions, or authorize the client"
            )

    def _log_differences(self, description: TopicDescription, retention: timedelta) -> None:
        differences = {}
        if description.partitions != settings.KAFKA_TOPIC_PARTITIONS:
            differences["partitions"] = f"{description.partitions}, not {settings.KAFKA_TOPIC_PARTITIONS}"
        if description.replicas != settings.KAFKA_TOPIC_REPLICAS:
            differences["replicas"] = f"{description.replicas}, not {settings.KAFKA_TOPIC_REPLICAS}"
        if not description.embedded and (actual := self._retention_ms()) is not None:
            wanted = str(retention // timedelta(milliseconds=1))
            if actual != wanted:
                differences["retention_ms"] = f"{actual}, not {wanted}"
        if differences:
            log.warning("topic has other properties and is used as it is", topic=self._name, **differences)

    def _retention_ms(self) -> str | None:
        resource = ConfigResource(ResourceType.TOPIC, self._name)
        try:
            response = self._admin().describe_configs([resource], request_timeout=self._timeout)
            return str(response[resource].result()["retention.ms"].value)
        except (KafkaException, KeyError) as error:
            log.debug("topic retention unknown", topic=self._name, reason=str(error))
            return None

    def _metadata(self, name: str | None) -> Any:
        try:
            return self._admin().list_topics(topic=name, timeout=self._timeout)
        except KafkaException as error:
            raise BrokerUnavailable(f"no answer from {self._brokers}: {error.args[0].str()}") from error

    def _parse(self, metadata: Any) -> TopicDescription:
        topic = metadata.topics.get(self._name)
        partitions = topic.partitions.values() if topic is not None and topic.error is None else ()
        return TopicDescription(
            partitions=len(partitions),
            replicas=max((len(partition.replicas) for partition in partitions), default=0),
            brokers=len(metadata.brokers),
            embedded=str(metadata.cluster_id).startswith(EMBEDDED_CLUSTER_ID),
        )

    def _admin(self) -> AdminClient:
        if self._client is None:
            self._client = AdminClient(self._options)
        return self._client


def read_ends(consumer: Consumer, topic: str, partitions: int) -> dict[int, int]:
    """Returns the offset after the last record of each partition that has records.

    Raises BrokerUnavailable after closing the consumer.
    """
    try:
        watermarks = {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=WATERMARK_TIMEOUT_SECONDS)
            for number in range(partitions)
        }
    except KafkaException as error:
        consumer.close()
        raise BrokerUnavailable(f"the end of {topic} is unknown: {error.args[0].str()}") from error
    return {number: high for number, (low, high) in watermarks.items() if low < high}
