"""`manage.py runprocessor`: brings prices from Kafka into Redis. Wiring and signals only."""

from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.errors import PermanentError
from feeds.kafka.source import Source
from feeds.metrics import serve_metrics
from feeds.signals import stop_flag
from feeds.store import Store, connect
from feeds.workers import Processing


class Command(BaseCommand):
    help = "Brings prices from Kafka into Redis until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        stop = stop_flag()
        serve_metrics(settings.PROCESSOR_METRICS_PORT, "PROCESSOR_METRICS_PORT")
        source = Source(
            settings.KAFKA_BROKERS,
            settings.KAFKA_TOPIC,
            settings.KAFKA_GROUP_ID,
            settings.KAFKA_SESSION_TIMEOUT,
            settings.KAFKA_GROUP_INSTANCE_ID,
        )

        def open_store() -> Store:
            return Store(connect(settings.REDIS), settings.PROCESSOR_STOCK_TTL)

        processing = Processing(source, open_store, settings.PROCESSOR_NUM_WORKERS, settings.KAFKA_TOPIC)
        try:
            processing.run(stop)
        except PermanentError as error:
            structlog.get_logger(__name__).error(str(error))
            raise SystemExit(1) from error
        raise SystemExit(1 if processing.failed else 0)
