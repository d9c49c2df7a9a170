"""The topic: is it there, what is it like, and making it when it is not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from feeds.errors import BrokerUnavailable, TopicRefused
from feeds.kafka.client_options import Options, client_options
from feeds.kafka.embedded import EMBEDDED_NAME
from feeds.retry import Outage

log = structlog.get_logger(__name__)

PARTITIONS = 4
REPLICAS = 3
NO_RIGHTS = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
COMING = (KafkaError.LEADER_NOT_AVAILABLE,)
REFUSED = (KafkaError.POLICY_VIOLATION, KafkaError.INVALID_CONFIG)


class Facts(msgspec.Struct, frozen=True):
    """What the cluster says: `partitions` is 0 where there is no such topic; `brokers` counts those alive."""

    partitions: int
    replicas: int
    brokers: int
    embedded: bool


class Topic:
    """One topic on one cluster."""

    def __init__(self, brokers: str, name: str, options: Options | None = None, timeout: float = 2.0) -> None:
        self._brokers = brokers
        self._name = name
        self._timeout = timeout
        self._options = client_options(brokers, Outage("Kafka"), options)
        # A question for metadata that fails says so itself.
        self._options["error_cb"] = lambda _error: None
        self._client: AdminClient | None = None

    def look(self) -> Facts:
        """What there is, without making anything. Raises BrokerUnavailable."""
        # All topics: a question for one by its name would have some clusters make it, with figures of their own.
        return self._facts(self._metadata(None))

    def find(self, wait: Callable[[float], object], seconds: float) -> Facts:
        """Waits for the generator to make the topic. Raises BrokerUnavailable when that takes longer."""
        for _ in range(max(int(seconds / 0.25), 1)):
            if (facts := self.look()).partitions:
                return facts
            if facts.embedded:
                self._metadata(self._name)  # such a cluster makes it for whoever asks first, always the same
            else:
                wait(0.25)
        raise BrokerUnavailable(f"the topic {self._name} is not there yet: the generator makes it")

    def ensure(self, retention: timedelta, wait: Callable[[float], object]) -> Facts:
        """Makes the topic where it is not, as near to what is wanted as the cluster lets us, and says what it is not.

        `wait` sleeps for so many seconds. Raises BrokerUnavailable, or TopicRefused where it is not there and may not
        be made.
        """
        facts = self.look()
        if facts.partitions:
            self._compare(facts, retention)
            return facts
        if facts.embedded:
            self._metadata(self._name)
        else:
            self._create(min(REPLICAS, facts.brokers), retention)
        for _ in range(50):
            # Creation is asynchronous: the answer comes before the topic does.
            if (facts := self.look()).partitions:
                log.info("topic made", topic=self._name, partitions=facts.partitions, replicas=facts.replicas)
                if facts.embedded:
                    log.info("the embedded cluster keeps no time: it holds the newest 5 MiB of a partition")
                return facts
            wait(0.1)
        raise BrokerUnavailable(f"the topic {self._name} was made, but does not appear")

    def _create(self, replicas: int, retention: timedelta) -> None:
        config: dict[str, str] = {"retention.ms": str(retention // timedelta(milliseconds=1))}
        if replicas < REPLICAS:
            log.warning(f"the topic gets {replicas} replicas instead of {REPLICAS}: there are only so many brokers")
        while (error := self._request(replicas, config)) is not None:
            if error.code() == KafkaError.INVALID_REPLICATION_FACTOR and replicas > 1:
                replicas -= 1
                log.warning(f"the topic gets {replicas} replicas instead of {REPLICAS}", reason=error.str())
            elif error.code() in REFUSED and config:
                config = {}
                log.warning("the topic gets the cluster's own retention", reason=error.str())
            elif error.code() in NO_RIGHTS:
                self._ask_by_name(error)
                return
            elif error.code() in (*REFUSED, KafkaError.INVALID_REPLICATION_FACTOR):
                raise TopicRefused(f"the topic {self._name} is not there and cannot be made: {error.str()}")
            else:
                raise BrokerUnavailable(f"the topic {self._name} could not be made yet: {error.str()}")

    def _request(self, replicas: int, config: dict[str, str]) -> KafkaError | None:
        """Asks for the topic once. None when it is made, or somebody else was quicker."""
        wanted = NewTopic(self._name, PARTITIONS, replicas, config=config)
        try:
            self._admin().create_topics([wanted], request_timeout=5.0)[self._name].result()
        except KafkaException as error:
            cause: KafkaError = error.args[0]
            return None if cause.code() == KafkaError.TOPIC_ALREADY_EXISTS else cause
        return None

    def _ask_by_name(self, refusal: KafkaError) -> None:
        """We may not make topics; a broker with auto.create.topics.enable makes one that is asked for."""
        log.warning("no right to make the topic: leaving its figures to the brokers", reason=refusal.str())
        topic = self._metadata(self._name).topics.get(self._name)
        if topic is None or (topic.error is not None and topic.error.code() not in COMING):
            raise TopicRefused(
                f"the topic {self._name} is not there and we have no right to make it: {refusal.str()}; "
                f"make it with {PARTITIONS} partitions, or allow us to"
            )

    def _compare(self, facts: Facts, retention: timedelta) -> None:
        """Says what an existing topic has not; it is used as it is."""
        lacks = {}
        if facts.partitions != PARTITIONS:
            lacks["partitions"] = f"{facts.partitions}, not {PARTITIONS}"
        if facts.replicas != REPLICAS:
            lacks["replicas"] = f"{facts.replicas}, not {REPLICAS}"
        if not facts.embedded and (kept := self._retention()) is not None:
            wanted = str(retention // timedelta(milliseconds=1))
            if kept != wanted:
                lacks["retention_ms"] = f"{kept}, not {wanted}"
        if lacks:
            log.warning("the topic exists and is used as it is", topic=self._name, **lacks)

    def _retention(self) -> str | None:
        resource = ConfigResource(ResourceType.TOPIC, self._name)
        try:
            answer = self._admin().describe_configs([resource], request_timeout=self._timeout)
            return str(answer[resource].result()["retention.ms"].value)
        except (KafkaException, KeyError) as error:
            log.debug("the topic's retention cannot be read", reason=str(error))
            return None

    def _metadata(self, name: str | None) -> Any:
        try:
            return self._admin().list_topics(topic=name, timeout=self._timeout)
        except KafkaException as error:
            raise BrokerUnavailable(f"no answer from {self._brokers}: {error.args[0].str()}") from error

    def _facts(self, metadata: Any) -> Facts:
        topic = metadata.topics.get(self._name)
        partitions = topic.partitions.values() if topic is not None and topic.error is None else ()
        return Facts(
            partitions=len(partitions),
            replicas=max((len(partition.replicas) for partition in partitions), default=0),
            brokers=len(metadata.brokers),
            embedded=str(metadata.cluster_id).startswith(EMBEDDED_NAME),
        )

    def _admin(self) -> AdminClient:
        if self._client is None:
            self._client = AdminClient(self._options)
        return self._client
