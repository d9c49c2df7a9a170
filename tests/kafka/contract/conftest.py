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
    """The addresses of three brokers. Each test runs on embedded and on real ones."""
    if request.param == "real":
        yield request.getfixturevalue("cluster").addresses
        return
    with EmbeddedCluster() as cluster:
        yield cluster.addresses


@pytest.fixture
def topic(kafka: str) -> str:
    """A topic, created as the generator does it."""
    name = f"ticks-{uuid4().hex}"
    Topic(kafka, name).ensure(DAY, Event().wait)
    return name


@pytest.fixture
def group() -> str:
    return f"group-{uuid4().hex}"


@pytest.fixture
def join(kafka: str, topic: str, group: str) -> Iterator[Join]:
    """Adds members to the group. They leave at the end."""
    members: list[UpdateConsumer] = []

    def join(name: str = "", **rebalance: Callable[..., object]) -> UpdateConsumer:
        # The shortest that the brokers accept. Embedded ones delay each later join for nearly as long.
        session = timedelta(seconds=3 if Topic(kafka, topic).describe().embedded else 6)
        member = UpdateConsumer(kafka, topic, name or group, session)
        callbacks = {"on_revoke": lambda _partitions: None, "on_lost": lambda _partitions: None} | rebalance
        member.open(**callbacks, wait=Event().wait)
        members.append(member)
        return member

    yield join
    for each in members:
        each.leave()
