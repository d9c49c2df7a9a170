"""`manage.py runfeed`: runs the feeder, which sends the trades of real sources to Kafka."""

import asyncio
from argparse import ArgumentParser
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from random import Random
from time import monotonic
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from feeds import metrics
from feeds.errors import PermanentError
from feeds.feeder.feeder import Feeder
from feeds.feeder.publisher import PRODUCER_OPTIONS, Publisher
from feeds.feeder.running_source import ConnectedSource, RunningSource
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.kafka.topic import Topic
from feeds.management.source_settings import endpoint, find, rest_url
from feeds.metrics import serve_metrics
from feeds.records import TopicEnd
from feeds.sources.adapter import Source
from feeds.stop_signals import stop_event
from feeds.store.connection import PIPELINE, connect
from feeds.store.feed_state import FeedStateStore
from feeds.store.holders import Holder
from feeds.store.lease import Lease
from feeds.store.ownership import Ownership
from feeds.tickers.subscriptions import SubscriptionReader


class Command(BaseCommand):
    help = "Sends the trades of real sources to Kafka until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("sources", nargs="*", help="names of sources; the default are those of FEEDS")
        parser.add_argument("--idle", action="store_true", help="wait if there is no source, as containers need")

    def handle(self, *_args: Any, sources: Sequence[str], idle: bool, **_options: Any) -> None:
        chosen = [find(name) for name in dict.fromkeys(sources or settings.FEEDS)]
        if not (chosen or idle):
            raise CommandError("no source: name one, such as `manage.py runfeed kraken`, or set FEEDS")
        stop = stop_event()
        serve_metrics(settings.FEED_METRICS_PORT, "FEED_METRICS_PORT")
        if not chosen:
            structlog.get_logger(__name__).info("no source to feed: set FEEDS and restart")
            stop.wait()
            return
        address = (settings.KAFKA_BROKERS, settings.KAFKA_TOPIC)

        def read_ends(symbols: Collection[str]) -> Mapping[str, TopicEnd]:
            Topic(*address).ensure(settings.KAFKA_RETENTION, stop.wait)
            return LastUpdates(*address, monotonic).read_ends(symbols)

        holder = Holder()
        redis = connect(settings.REDIS, PIPELINE)
        feeder = Feeder(
            partial(make_sources, chosen),
            UpdateProducer(*address, PRODUCER_OPTIONS, failures=metrics.FEED_FAILED),
            Ownership(redis, settings.KAFKA_TOPIC, holder),
            {source.name: make_lease(source, redis, holder) for source in chosen},
            SubscriptionReader().read,
            read_ends,
            FeedStateStore(redis),
        )
        try:
            totals = asyncio.run(feeder.run(stop))
        except PermanentError as error:
            structlog.get_logger(__name__).error(str(error))
            raise SystemExit(1) from error
        raise SystemExit(1 if totals.undelivered else 0)


def make_lease(source: Source, redis: Any, holder: Holder) -> Lease:
    right = f"feeder feeds {settings.KAFKA_TOPIC} from {source.name}"
    return Lease(redis, f"{settings.KAFKA_TOPIC}:{source.name}", right, holder)


def make_sources(sources: Sequence[Source], publisher: Publisher) -> list[RunningSource]:
    rng = Random()  # noqa: S311
    return [ConnectedSource(source, endpoint(source), rest_url(source), publisher, rng) for source in sources]
