"""A Kafka cluster inside this process, for one machine and for tests: librdkafka's mock brokers behind real sockets.

It speaks the real protocol to any process on this machine and keeps the newest 5 MiB of a partition in memory. It has
no controller, so it makes topics (4 partitions, 3 replicas) when they are first asked for by name, and only then.
"""

from types import TracebackType

import structlog
from confluent_kafka import Producer

from feeds.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

EMBEDDED_NAME = "mockCluster"
"""How the ids of such clusters begin; by it clients know one when they meet it."""


class EmbeddedCluster:
    """Brokers on free loopback ports, alive from `start` to `close`."""

    def __init__(self, brokers: int = 3) -> None:
        self._count = brokers
        self._owner: Producer | None = None
        self._addresses = ""

    @property
    def addresses(self) -> str:
        """`127.0.0.1:p1,127.0.0.1:p2,…`, fit for KAFKA_BROKERS. Empty before `start`."""
        return self._addresses

    def start(self) -> None:
        """Returns when the brokers listen. Raises BrokerUnavailable when they do not."""
        self._owner = Producer({"test.mock.num.brokers": self._count, "log_level": 2})
        # The owner alone knows the addresses: whatever bootstrap address it was given is replaced.
        brokers = self._owner.list_topics(timeout=10).brokers
        if len(brokers) < self._count:
            raise BrokerUnavailable(f"only {len(brokers)} of {self._count} embedded Kafka brokers started")
        self._addresses = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())
        log.info("Kafka runs inside this process, in memory only", brokers=self._addresses)

    def close(self) -> None:
        """Ends the brokers; what they held is gone."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None
            self._addresses = ""

    def __enter__(self) -> "EmbeddedCluster":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
