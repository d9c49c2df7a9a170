"""What every Kafka client of ours is told, and how its troubles reach the log: once an outage, not once an attempt."""

from collections.abc import Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError

from feeds.retry import Outage

log = structlog.get_logger(__name__)

Options = Mapping[str, Any]

EMBEDDED: dict[str, Any] = {
    # The embedded cluster sleeps out the whole wait of a fetch that finds nothing; a real broker answers at once when
    # a record comes, and would only be asked more often.
    "fetch.wait.max.ms": 5,
}
"""Options for consumers of the embedded cluster only."""


def client_options(brokers: str, outage: Outage, extra: Options | None = None) -> dict[str, Any]:
    """Options for any client. `extra` wins; `outage` is begun when no broker can be reached."""
    return {
        "bootstrap.servers": brokers,
        "client.id": "stockwatch",
        # Its own lines repeat each failed attempt to connect; `error_cb` says it once.
        "log_level": 2,
        "error_cb": Watch(outage),
        "reconnect.backoff.max.ms": 1000,
        "socket.keepalive.enable": True,
        "socket.connection.setup.timeout.ms": 5000,
        # A broker that hangs is left after this, and its partitions' new leaders looked up; by default it takes 60 s.
        "socket.timeout.ms": 5000,
    } | dict(extra or {})


class Watch:
    """Hears of a client's errors. Those that pass by themselves are told apart from those that an operator must see."""

    ASK_OPERATOR = (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._RESOLVE)

    def __init__(self, outage: Outage) -> None:
        self._outage = outage

    def __call__(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN or error.code() in self.ASK_OPERATOR:
            self._outage.begin(error.str())
        else:
            log.debug("Kafka client", reason=error.str(), code=error.name())
