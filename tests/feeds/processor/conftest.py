import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
import redis

from feeds.kafka.consumer import UpdateConsumer
from feeds.processor.loop import Processor
from feeds.store.quote_writer import QuoteWriter
from stockwatch.local.redis_server import RedisServer
from tests.support.kafka.running_processor import Run, RunningProcessor, dead_letter_topic, open_writer

SESSION_TIMEOUT = timedelta(seconds=3)


@pytest.fixture
def group() -> str:
    return f"group-{uuid4().hex}"


@pytest.fixture
def run(kafka: str, topic: str, group: str, redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[Run]:
    """Starts a processor of the topic; `writer` makes the writer of each worker."""
    started: list[RunningProcessor] = []

    def run(
        workers: int = 3,
        writer: Callable[[], QuoteWriter] = lambda: open_writer(redis_server),
        clock: Callable[[], float] = time.monotonic,
    ) -> RunningProcessor:
        consumer = UpdateConsumer(kafka, topic, group, SESSION_TIMEOUT)
        processor = Processor(consumer, dead_letter_topic(kafka, topic), writer, workers, topic, clock=clock)
        started.append(RunningProcessor(processor))
        return started[-1]

    yield run
    for each in started:
        each.stop()
