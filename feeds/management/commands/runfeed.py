"""`manage.py runfeed`: runs the feeder, which sends the trades of real sources to Kafka."""

import asyncio
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from threading import Event
from time import monotonic
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from feeds import metrics
from feeds.errors import BadReplay, PermanentError
from feeds.feeder.feeder import Feeder
from feeds.feeder.publisher import PRODUCER_OPTIONS, Publisher
from feeds.feeder.replay_source import make_replay
from feeds.feeder.running_source import ConnectedSource, RunningSource
from feeds.kafka.last_updates import LastUpdates
from feeds.kafka.producer import UpdateProducer
from feeds.kafka.topic import Topic
from feeds.management.source_history import make_backfill
from feeds.management.source_settings import endpoint, find, rest_url
from feeds.program_health import heartbeat, serve_health
from feeds.records import TopicEnd
from feeds.source_names import REPLAY
from feeds.sources.adapter import Source
from feeds.sources.replay import Replay, read_replay_file, read_speed, trades_from
from feeds.stop_signals import stop_event
from feeds.store.connection import PIPELINE, connect
from feeds.store.feed_state import FeedStateStore
from feeds.store.holders import Holder
from feeds.store.lease import Lease
from feeds.store.ownership import Ownership
from feeds.tickers.subscriptions import SubscriptionReader

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Sends the trades of real sources to Kafka until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "sources", nargs="*", help="names of sources, or `replay FILE`; the default are the sources of FEEDS"
        )
        parser.add_argument("--speed", default="1", help="of a replay: how many times as fast, or max")
        parser.add_argument("--from", dest="begin", default="", help="of a replay: the time of the file to begin at")
        parser.add_argument("--loop", action="store_true", help="of a replay: begin again at the end")
        parser.add_argument("--symbol", default="", help="of a replay: the symbol of a file that names none")
        parser.add_argument("--idle", action="store_true", help="wait if there is no source, as containers need")

    def handle(self, *_args: Any, sources: Sequence[str], idle: bool, **options: Any) -> None:
        names, make_sources = plan_sources(sources or settings.FEEDS, options)
        if not (names or idle):
            raise CommandError("no source: name one, such as `manage.py runfeed kraken`, or set FEEDS")
        stop = stop_event()
        serve_health(settings.FEED_METRICS_PORT, "FEED_METRICS_PORT")
        if not names:
            log.info("no source to feed: set FEEDS and restart")
            while not stop.wait(1):
                heartbeat.beat()
            return
        try:
            totals = asyncio.run(make_feeder(names, make_sources, stop).run(stop))
        except PermanentError as error:
            log.error(str(error))
            raise SystemExit(1) from error
        raise SystemExit(1 if totals.undelivered else 0)


MakeSources = Callable[[Publisher], list[RunningSource]]


def plan_sources(words: Sequence[str], options: Mapping[str, Any]) -> tuple[list[str], MakeSources]:
    """Returns the names of the sources to run, and a function that makes these sources. Raises CommandError."""
    if REPLAY in words:
        return [REPLAY], partial(make_replay_source, read_file(words, options), options)
    sources = [find(name) for name in dict.fromkeys(words)]
    return [source.name for source in sources], partial(make_connected_sources, sources)


def read_file(words: Sequence[str], options: Mapping[str, Any]) -> Replay:
    """Reads the file of a replay. Raises CommandError."""
    if len(words) != 2 or words[0] != REPLAY:
        raise CommandError("a replay needs one file and no other source: manage.py runfeed replay FILE")
    try:
        with Path(words[1]).open(newline="", encoding="utf-8") as file:
            replay = read_replay_file(file, options["symbol"])
        read_speed(options["speed"])
        if options["begin"]:
            replay = Replay(trades_from(replay.trades, options["begin"]), replay.time_form)
    except OSError as error:
        raise CommandError(f"{words[1]} cannot be read: {error.strerror}") from error
    except BadReplay as error:
        raise CommandError(str(error)) from error
    log.info("file read", trades=len(replay.trades), times=replay.time_form)
    return replay


def make_replay_source(replay: Replay, options: Mapping[str, Any], publisher: Publisher) -> list[RunningSource]:
    return [make_replay(replay, read_speed(options["speed"]), options["loop"], publisher)]


def make_connected_sources(sources: Sequence[Source], publisher: Publisher) -> list[RunningSource]:
    rng = Random()  # noqa: S311
    return [
        ConnectedSource(source, endpoint(source), rest_url(source), publisher, rng, partial(make_backfill, source))
        for source in sources
    ]


def make_feeder(names: Sequence[str], make_sources: MakeSources, stop: Event) -> Feeder:
    address = (settings.KAFKA_BROKERS, settings.KAFKA_TOPIC)

    def read_ends(symbols: Collection[str]) -> Mapping[str, TopicEnd]:
        Topic(*address).ensure(settings.KAFKA_RETENTION, stop.wait)
        return LastUpdates(*address, monotonic).read_ends(symbols)

    holder = Holder()
    redis = connect(settings.REDIS, PIPELINE)
    return Feeder(
        make_sources,
        UpdateProducer(*address, PRODUCER_OPTIONS, failures=metrics.FEED_FAILED),
        Ownership(redis, settings.KAFKA_TOPIC, holder),
        {name: make_lease(name, redis, holder) for name in names},
        SubscriptionReader().read,
        read_ends,
        FeedStateStore(redis),
    )


def make_lease(source: str, redis: Any, holder: Holder) -> Lease:
    right = f"feeder feeds {settings.KAFKA_TOPIC} from {source}"
    return Lease(redis, f"{settings.KAFKA_TOPIC}:{source}", right, holder)
