"""`manage.py runprocessor`: runs the processor, which writes prices from Kafka to Redis."""

from argparse import ArgumentParser
from threading import Event
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.errors import PermanentError
from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.dead_letter_topic import DeadLetterTopic
from feeds.kafka.processed_updates import ProcessedUpdates
from feeds.kafka.replica_watch import ReplicaWatch
from feeds.processor.loop import Processor
from feeds.processor.lost_quotes import LostQuotes
from feeds.processor.writers import plan_writers
from feeds.program_health import serve_health
from feeds.stop_signals import stop_event
from feeds.store.connection import connect, warn_of_shared_channels
from feeds.store.quote_restorer import QuoteRestorer


class Command(BaseCommand):
    help = "Writes prices from Kafka to Redis until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="end after all records that exist at the start")

    def handle(self, *_args: Any, once: bool, **_options: Any) -> None:
        stop = stop_event()
        warn_of_shared_channels(settings.REDIS)
        consumer = UpdateConsumer(
            settings.KAFKA_BROKERS,
            settings.KAFKA_TOPIC,
            settings.KAFKA_GROUP_ID,
            settings.KAFKA_SESSION_TIMEOUT,
            settings.KAFKA_GROUP_INSTANCE_ID,
            once=once,
        )
        serve_health(settings.PROCESSOR_METRICS_PORT, "PROCESSOR_METRICS_PORT", consumer.describe)
        dead_letters = DeadLetterTopic(settings.KAFKA_BROKERS, settings.KAFKA_DLQ_TOPIC, settings.KAFKA_DLQ_RETENTION)

        plan = plan_writers(settings.REDIS, settings.PROCESSOR_STOCK_TTL, settings.PROCESSOR_NUM_WORKERS)
        processor = Processor(
            consumer, dead_letters, plan.open_writer, plan.workers, settings.KAFKA_TOPIC, routing=plan.routing
        )
        if not once:
            self._start_restoring(stop)
        replicas = ReplicaWatch(settings.KAFKA_BROKERS, settings.KAFKA_TOPIC, stop)
        replicas.start()
        try:
            finished = processor.run(stop)
        except PermanentError as error:
            structlog.get_logger(__name__).error(str(error))
            raise SystemExit(1) from error
        finally:
            stop.set()
            replicas.join()
        raise SystemExit(1 if processor.failed or (once and not (finished and consumer.drained)) else 0)

    def _start_restoring(self, stop: Event) -> None:
        """Starts the thread that restores quotes if Redis loses its data."""
        processed = ProcessedUpdates(settings.KAFKA_BROKERS, settings.KAFKA_TOPIC, settings.KAFKA_GROUP_ID)
        restorer = QuoteRestorer(connect(settings.REDIS), settings.PROCESSOR_STOCK_TTL)
        LostQuotes(restorer, processed.read_newest, stop).start()
