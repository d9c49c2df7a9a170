"""Runs an embedded Kafka cluster on one machine: librdkafka's mock brokers.

The brokers run in this process, and keep the newest 5 MiB of each partition in memory. Requests to create a topic fail.
A topic is created, with 4 partitions and 3 replicas, when a client first asks for the topic by name.
"""

import structlog
from confluent_kafka import Producer

from feeds.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

EMBEDDED_CLUSTER_ID = "mockCluster"
"""The beginning of the id of each embedded cluster."""


class EmbeddedCluster:
    """Brokers that run on free loopback ports from `start` to `close`."""

    def __init__(self, brokers: int = 3) -> None:
        self._count = brokers
        self._owner: Producer | None = None
        self._addresses = ""

    @property
    def addresses(self) -> str:
        """The addresses of the brokers in the format of KAFKA_BROKERS. Empty before `start`."""
        return self._addresses

    def start(self) -> None:
        """Starts the brokers, and waits until they listen. Raises BrokerUnavailable if a broker does not start."""
        self._owner = Producer({"test.mock.num.brokers": self._count, "log_level": 2})
        # Only the owner knows the addresses, because the mock cluster replaces the owner's bootstrap address.
        brokers = self._owner.list_topics(timeout=10).brokers
        if len(brokers) < self._count:
            raise BrokerUnavailable(f"only {len(brokers)} of {self._count} embedded Kafka brokers started")
        self._addresses = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())
        log.info("embedded Kafka started, in memory only", brokers=self._addresses)

    def close(self) -> None:
        """Ends the brokers and discards their records. May be called twice."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None
            self._addresses = ""

    def __enter__(self) -> "EmbeddedCluster":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
