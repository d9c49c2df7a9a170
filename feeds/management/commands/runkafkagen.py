"""`manage.py runkafkagen`: runs the generator, which sends simulated prices to Kafka."""

from collections.abc import Collection, Mapping
from functools import cache, partial
from secrets import token_hex
from time import monotonic
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.errors import PermanentError
from feeds.generator.loop import GeneratorLoop
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.kafka.topic import Topic
from feeds.program_health import serve_health
from feeds.sources.simulated import PriceSimulator
from feeds.stop_signals import stop_event
from feeds.store.connection import OWNER, connect
from feeds.store.holders import Holder
from feeds.store.lease import Lease
from feeds.store.ownership import Ownership
from feeds.tickers.instruments import TickerReader
from feeds.tickers.seed import seed_tickers
from feeds.wire import Update


class Command(BaseCommand):
    help = "Sends prices of all active simulated tickers to Kafka until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        stop = stop_event()
        serve_health(settings.GENERATOR_METRICS_PORT, "GENERATOR_METRICS_PORT")
        address = (settings.KAFKA_BROKERS, settings.KAFKA_TOPIC)

        @cache
        def ensure_topic() -> None:
            Topic(*address).ensure(settings.KAFKA_RETENTION, stop.wait)

        def read_last_updates(symbols: Collection[str]) -> Mapping[str, Update]:
            ensure_topic()
            return LastUpdates(*address, monotonic).read(symbols)

        interval = settings.GENERATOR_INTERVAL.total_seconds()
        simulator = PriceSimulator(interval, settings.GENERATOR_SEED or token_hex(8))
        tickers = TickerReader(partial(seed_tickers, settings.GENERATOR_TICKERS, settings.GENERATOR_BASE_PRICES))
        topic, client, holder = settings.KAFKA_TOPIC, connect(settings.REDIS, OWNER), Holder()
        generator = GeneratorLoop(
            simulator,
            UpdateProducer(*address),
            Lease(client, topic, f"generator feeds {topic}", holder),
            Ownership(client, topic, holder),
            tickers.read,
            read_last_updates,
            interval,
        )
        try:
            totals = generator.run(stop)
        except PermanentError as error:
            structlog.get_logger(__name__).error(str(error))
            raise SystemExit(1) from error
        raise SystemExit(1 if totals.undelivered else 0)
