from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest

from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.embedded import EmbeddedCluster
from feeds.kafka.topic import Topic
from tests.support.kafka.members import DAY, Join


@pytest.fixture(scope="session", params=["embedded", pytest.param("real", marks=pytest.mark.kafka)])
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """The addresses of three brokers, once embedded and once real: what holds for one holds for the other."""
    if request.param == "real":
        yield request.getfixturevalue("cluster").addresses
        return
    with EmbeddedCluster() as cluster:
        yield cluster.addresses


@pytest.fixture
def topic(kafka: str) -> str:
    """A topic that was made as the generator makes it."""
    name = f"ticks-{uuid4().hex}"
    Topic(kafka, name).ensure(DAY, Event().wait)
    return name


@pytest.fixture
def group() -> str:
    return f"group-{uuid4().hex}"


@pytest.fixture
def join(kafka: str, topic: str, group: str) -> Iterator[Join]:
    """Members of the group; those still in it leave at the end."""
    members: list[UpdateConsumer] = []

    def join(name: str = "", **rebalance: Callable[..., object]) -> UpdateConsumer:
        # The least that either takes: embedded brokers have everybody who joins later wait for nearly as long.
        session = timedelta(seconds=3 if Topic(kafka, topic).look().embedded else 6)
        source = UpdateConsumer(kafka, topic, name or group, session)
        calls = {"on_revoke": lambda _partitions: None, "on_lost": lambda _partitions: None} | rebalance
        source.open(**calls, wait=Event().wait)
        members.append(source)
        return source

    yield join
    for each in members:
        each.leave()
