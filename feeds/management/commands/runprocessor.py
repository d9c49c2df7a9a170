"""`manage.py runprocessor`: brings prices from Kafka into Redis. Arguments, wiring and signals only."""

from argparse import ArgumentParser
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.errors import PermanentError
from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.dead_letter_topic import DeadLetterTopic
from feeds.metrics import serve_metrics
from feeds.processor.loop import Processor
from feeds.stop_signals import stop_flag
from feeds.store.connection import connect
from feeds.store.quote_writer import QuoteWriter


class Command(BaseCommand):
    help = "Brings prices from Kafka into Redis until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="end when all is done that is there at the start")

    def handle(self, *_args: Any, once: bool, **_options: Any) -> None:
        stop = stop_flag()
        serve_metrics(settings.PROCESSOR_METRICS_PORT, "PROCESSOR_METRICS_PORT")
        source = UpdateConsumer(
            settings.KAFKA_BROKERS,
            settings.KAFKA_TOPIC,
            settings.KAFKA_GROUP_ID,
            settings.KAFKA_SESSION_TIMEOUT,
            settings.KAFKA_GROUP_INSTANCE_ID,
            once=once,
        )
        letters = DeadLetterTopic(settings.KAFKA_BROKERS, settings.KAFKA_DLQ_TOPIC, settings.KAFKA_DLQ_RETENTION)

        def open_store() -> QuoteWriter:
            return QuoteWriter(connect(settings.REDIS), settings.PROCESSOR_STOCK_TTL)

        processing = Processor(source, letters, open_store, settings.PROCESSOR_NUM_WORKERS, settings.KAFKA_TOPIC)
        try:
            done = processing.run(stop)
        except PermanentError as error:
            structlog.get_logger(__name__).error(str(error))
            raise SystemExit(1) from error
        raise SystemExit(1 if processing.failed or (once and not (done and source.drained)) else 0)
