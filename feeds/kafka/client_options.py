"""Builds the options of every Kafka client, and reports client errors as outages."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from django.conf import settings

from feeds.retry import Outage

log = structlog.get_logger(__name__)

Options = Mapping[str, Any]

EMBEDDED: dict[str, Any] = {
    # The embedded cluster waits this long whenever a fetch finds nothing. A real broker answers as soon as it has a
    # record, so a short time would only cause more requests.
    "fetch.wait.max.ms": 5,
}
"""Additional options for the consumers of an embedded cluster, see `feeds.kafka.embedded`."""


def client_options(brokers: str, outage: Outage, extra: Options | None = None) -> dict[str, Any]:
    """Returns the options of a Kafka client. The options in `extra` take precedence.

    `outage` begins when the client reports that Kafka is unavailable. Raises SystemExit if the client library refuses
    an option of the setting KAFKA_OPTIONS.
    """
    check_options(tuple(settings.KAFKA_OPTIONS.items()))
    return {
        "bootstrap.servers": brokers,
        "client.id": "stockwatch",
        # By default librdkafka logs each failed connection attempt. The error callback reports an outage only once.
        "log_level": 2,
        "error_cb": ErrorCallback(outage),
        "reconnect.backoff.max.ms": 1000,
        "socket.keepalive.enable": True,
        "socket.connection.setup.timeout.ms": 5000,
        # After this time without an answer the client looks for a new leader. The default is 60 s.
        "socket.timeout.ms": 5000,
        # How soon new partitions are read. The default is five minutes.
        "topic.metadata.refresh.interval.ms": 5000,
        **settings.KAFKA_OPTIONS,
    } | dict(extra or {})


@cache
def check_options(options: tuple[tuple[str, str], ...]) -> None:
    """Raises SystemExit with one line if the client library refuses one of these options, or cannot read a file."""
    if not options:
        return
    try:
        quiet: dict[str, Any] = {"log_level": 0, "error_cb": ignore_errors}
        AdminClient(quiet | dict(options))
    except KafkaException as error:
        raise SystemExit(f"stockwatch: the Kafka settings cannot be used: {error.args[0].str()}") from error


class ErrorCallback:
    """Handles the errors that a Kafka client reports.

    An error in OPERATOR_ERRORS means that Kafka is unavailable, and begins an outage. Any other error is logged at
    level debug.
    """

    OPERATOR_ERRORS = (
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError._RESOLVE,
    )

    def __init__(self, outage: Outage) -> None:
        self._outage = outage

    def __call__(self, error: KafkaError) -> None:
        if error.code() in self.OPERATOR_ERRORS:
            self._outage.begin(error.str())
        else:
            log.debug("Kafka client error", reason=error.str(), code=error.name())


def ignore_errors(_error: KafkaError) -> None:
    """Ignores an error that a Kafka client reports. Use this function if the client's methods raise each error too."""
