from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from structlog.testing import capture_logs

from feeds.kafka.consumer import UpdateConsumer
from feeds.processor.loop import Processor
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer
from tests.support.kafka.fixtures import Produce, committed
from tests.support.kafka.running_processor import RunningProcessor, dead_letter_topic, open_writer
from tests.support.times import at
from tests.support.waiting import wait_until

# Embedded brokers have no static membership.
pytestmark = pytest.mark.parametrize("kafka", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)

NAMES = ("one", "two")
SYMBOLS = [f"S{number}" for number in range(20)]


class Member:
    """A running processor that is a static member of the group."""

    def __init__(self, name: str, kafka: str, topic: str, group: str, server: RedisServer) -> None:
        self._consumer = UpdateConsumer(kafka, topic, group, timedelta(seconds=20), name)
        dead_letters = dead_letter_topic(kafka, topic)
        self._running = RunningProcessor(Processor(self._consumer, dead_letters, lambda: open_writer(server), 1, topic))

    @property
    def assigned(self) -> set[int]:
        return set(self._consumer.assigned)

    def stop(self) -> None:
        self._running.stop()


@pytest.fixture
def members(
    kafka: str, topic: str, group: str, redis_server: RedisServer, redis_client: redis.Redis
) -> Iterator[dict[str, Member]]:
    members = {name: Member(name, kafka, topic, group, redis_server) for name in NAMES}
    yield members
    for each in members.values():
        each.stop()


def test_a_rolling_restart_of_static_members_moves_no_partition_and_loses_nothing(
    members: dict[str, Member],
    kafka: str,
    topic: str,
    group: str,
    redis_server: RedisServer,
    redis_client: redis.Redis,
    produce: Produce,
):
    wait_until(lambda: all(len(each.assigned) == 2 for each in members.values()), 60, "an even assignment")
    assignments = {name: each.assigned for name, each in members.items()}
    with capture_logs() as lines:
        for turn, name in enumerate(NAMES, 1):
            members[name].stop()
            # Updates of the stopped member's partitions wait for its restart; the others are published.
            produce(*(Update(symbol, 1.5, at(turn), turn) for symbol in SYMBOLS))
            members[name] = Member(name, kafka, topic, group, redis_server)
            wait_until(lambda name=name: members[name].assigned == assignments[name], 60, "the same assignment")
        newest = [encode(Update(symbol, 1.5, at(2), 2)) for symbol in SYMBOLS]
        wait_until(lambda: redis_client.mget([f"stock:{symbol}" for symbol in SYMBOLS]) == newest, 60)
        wait_until(lambda: committed(kafka, topic, group) == 2 * len(SYMBOLS), 60)

    # Each member lost its partitions at its end and got them again, and no other partition moved.
    moves = [set(line["partitions"]) for line in lines if line["event"].startswith("partitions")]
    assert moves == [assignments[name] for name in NAMES for _ in range(2)]
