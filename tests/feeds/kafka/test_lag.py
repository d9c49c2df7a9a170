import json
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from feeds.kafka.lag import Lag

UNKNOWN_OFFSET = -1001


def statistics(**partitions: tuple[int, int, int, int]) -> str:
    """Returns statistics of the client: lowest, end, stored and committed offset by partition."""
    names = ("lo_offset", "ls_offset", "stored_offset", "committed_offset")
    each = {name[1:]: dict(zip(names, offsets, strict=True)) for name, offsets in partitions.items()}
    return json.dumps({"name": "rdkafka#consumer-1", "topics": {"ticks": {"partitions": {"-1": {}} | each}}})


@pytest.fixture
def lag() -> Iterator[Lag]:
    lag = Lag("ticks")
    lag.assign([0, 1])
    yield lag
    lag.assign([])


def metric(partition: int) -> float | None:
    return REGISTRY.get_sample_value("stockwatch_consumer_lag", {"partition": str(partition)})


def test_the_lag_counts_records_that_are_not_stored(lag: Lag):
    lag(statistics(p0=(0, 100, 40, 30), p1=(0, 7, 7, 7)))

    assert lag.by_partition == {0: 60, 1: 0}
    assert (metric(0), metric(1)) == (60, 0)


def test_without_a_stored_offset_the_committed_one_counts_or_the_first_record(lag: Lag):
    lag(statistics(p0=(10, 100, UNKNOWN_OFFSET, 30), p1=(10, 100, UNKNOWN_OFFSET, UNKNOWN_OFFSET)))

    assert lag.by_partition == {0: 70, 1: 90}


def test_a_partition_with_an_unknown_end_has_no_lag(lag: Lag):
    lag(statistics(p0=(UNKNOWN_OFFSET, UNKNOWN_OFFSET, UNKNOWN_OFFSET, 30)))

    assert lag.by_partition == {}
    assert metric(0) is None


def test_partitions_of_other_members_are_not_reported(lag: Lag):
    lag(statistics(p0=(0, 100, 40, 30), p2=(0, 100, 40, 30)))
    assert lag.by_partition == {0: 60}

    lag.assign([1])
    assert (lag.by_partition, metric(0)) == ({}, None)


def test_statistics_without_the_topic_remove_the_metric(lag: Lag):
    lag(statistics(p0=(0, 100, 40, 30)))
    lag('{"topics":{}}')

    assert metric(0) is None
