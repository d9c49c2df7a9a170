"""Runs alert engines in tests."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from random import Random
from uuid import uuid4

from feeds.store.feed_state import FeedState
from stockwatch.alerting.engine import AlertEngine
from tests.support.recording.bars import UTC_EVERYWHERE
from tests.support.recording.recorder import CountingConsumer, StopWhen
from watchlist.alerts.engine_state import EngineState


class EngineFactory:
    """Makes alert engines of one topic and group. Their clock shows `now_us`, in unix microseconds.

    `publish` gets the states of the engines. `sources` holds the states of the sources.
    """

    publish: Callable[[EngineState, Mapping[str, int]], None] = staticmethod(lambda _state, _counts: None)

    def __init__(self, kafka: str, topic: str, now_us: int) -> None:
        self.kafka, self.topic, self.now_us = kafka, topic, now_us
        self.sources: Mapping[str, FeedState] = {}
        self.group = f"group-{uuid4().hex}"

    def make_engine(self) -> AlertEngine:
        self.source = CountingConsumer(self.kafka, self.topic, self.group, timedelta(seconds=3))
        self.engine = AlertEngine(
            self.source,
            UTC_EVERYWHERE,
            self.publish,
            rng=Random(1),
            now=lambda: self.now_us / 1e6,
            find_sources=lambda: self.sources,
        )
        return self.engine

    def run_until(self, condition: Callable[[], object]) -> bool:
        """Runs an engine until the condition is true, then shuts the engine down."""
        return self.make_engine().run(StopWhen(condition))

    def run_until_read(self, count: int) -> bool:
        """Runs an engine until it has read `count` records, then shuts the engine down."""
        return self.run_until(lambda: self.source.records_read >= count)
