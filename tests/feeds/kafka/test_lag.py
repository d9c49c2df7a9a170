import json
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from feeds.kafka.lag import Lag

UNKNOWN = -1001


def report(**partitions: tuple[int, int, int, int]) -> str:
    """The client's report, as far as it matters: lowest, end, stored and committed offset by partition."""
    names = ("lo_offset", "ls_offset", "stored_offset", "committed_offset")
    each = {name[1:]: dict(zip(names, figures, strict=True)) for name, figures in partitions.items()}
    return json.dumps({"name": "rdkafka#consumer-1", "topics": {"ticks": {"partitions": {"-1": {}} | each}}})


@pytest.fixture
def lag() -> Iterator[Lag]:
    lag = Lag("ticks")
    lag.follow([0, 1])
    yield lag
    lag.follow([])


def shown(partition: int) -> float | None:
    return REGISTRY.get_sample_value("stockwatch_consumer_lag", {"partition": str(partition)})


def test_a_partition_is_behind_by_what_is_not_stored(lag: Lag):
    lag(report(p0=(0, 100, 40, 30), p1=(0, 7, 7, 7)))

    assert lag.behind == {0: 60, 1: 0}
    assert (shown(0), shown(1)) == (60, 0)


def test_before_anything_is_stored_the_committed_offset_counts_and_before_that_the_first_record(lag: Lag):
    lag(report(p0=(10, 100, UNKNOWN, 30), p1=(10, 100, UNKNOWN, UNKNOWN)))

    assert lag.behind == {0: 70, 1: 90}


def test_while_the_end_is_not_known_nothing_is_said(lag: Lag):
    lag(report(p0=(UNKNOWN, UNKNOWN, UNKNOWN, 30)))

    assert lag.behind == {}
    assert shown(0) is None


def test_partitions_of_others_are_theirs_to_report(lag: Lag):
    lag(report(p0=(0, 100, 40, 30), p2=(0, 100, 40, 30)))
    assert lag.behind == {0: 60}

    lag.follow([1])
    assert (lag.behind, shown(0)) == ({}, None)


def test_a_report_without_our_topic_shows_nothing(lag: Lag):
    lag(report(p0=(0, 100, 40, 30)))
    lag('{"topics":{}}')

    assert shown(0) is None
