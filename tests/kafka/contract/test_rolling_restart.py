import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from structlog.testing import capture_logs

from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.dead_letter_topic import DeadLetterTopic
from feeds.processor.loop import Processor
from feeds.store.connection import connect
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer
from tests.support.kafka.fixtures import Produce, committed
from tests.support.waiting import wait_until

# Embedded brokers know no static membership.
pytestmark = pytest.mark.parametrize("kafka", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)

NAMES = ("one", "two")
SYMBOLS = [f"S{number}" for number in range(20)]


class Member:
    """A processor with a name of its own, in a thread."""

    def __init__(self, name: str, kafka: str, topic: str, group: str, server: RedisServer) -> None:
        self.source = UpdateConsumer(kafka, topic, group, timedelta(seconds=20), name)
        letters = DeadLetterTopic(kafka, f"{topic}.dlq", timedelta(days=1))
        address = {"host": server.host, "port": server.port}
        processing = Processor(
            self.source, letters, lambda: QuoteWriter(connect(address), timedelta(hours=1)), 1, topic
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=processing.run, args=(self._stop,), daemon=True)
        self._thread.start()

    @property
    def own(self) -> set[int]:
        return set(self.source._own)

    def end(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def members(
    kafka: str, topic: str, group: str, redis_server: RedisServer, redis_client: redis.Redis
) -> Iterator[dict[str, Member]]:
    members = {name: Member(name, kafka, topic, group, redis_server) for name in NAMES}
    yield members
    for each in members.values():
        each.end()


def test_a_rolling_restart_of_named_processors_moves_no_partition_and_loses_nothing(
    members: dict[str, Member],
    kafka: str,
    topic: str,
    group: str,
    redis_server: RedisServer,
    redis_client: redis.Redis,
    produce: Produce,
):
    wait_until(lambda: all(len(each.own) == 2 for each in members.values()), 60, "an even share")
    shares = {name: each.own for name, each in members.items()}
    with capture_logs() as lines:
        for turn, name in enumerate(NAMES, 1):
            members[name].end()
            # What comes in the meantime waits for the one that is away; the other one's partitions flow.
            produce(*(Update(symbol, 1.5, turn, turn) for symbol in SYMBOLS))
            members[name] = Member(name, kafka, topic, group, redis_server)
            wait_until(lambda name=name: members[name].own == shares[name], 60, "its own share again")
        newest = [encode(Update(symbol, 1.5, 2, 2)) for symbol in SYMBOLS]
        wait_until(lambda: redis_client.mget([f"stock:{symbol}" for symbol in SYMBOLS]) == newest, 60)
        wait_until(lambda: committed(kafka, topic, group) == 2 * len(SYMBOLS), 60)

    # Each gave up its own at its end and had it back, and nothing else moved.
    moves = [set(line["partitions"]) for line in lines if line["event"].startswith("partitions")]
    assert moves == [shares[name] for name in NAMES for _ in range(2)]
