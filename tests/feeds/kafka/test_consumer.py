from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from feeds.errors import BrokerUnavailable, GroupRefused, TopicRefused
from feeds.kafka.consumer import UpdateConsumer
from feeds.wire import Update
from stockwatch.local.redis_server import free_port
from tests.support.kafka.fixtures import Produce
from tests.support.waiting import wait_until


@pytest.fixture
def source(kafka: str, topic: str) -> UpdateConsumer:
    return UpdateConsumer(kafka, topic, "group", timedelta(seconds=3), instance_id="one")


def test_before_it_has_joined_nothing_can_be_read(source: UpdateConsumer):
    with pytest.raises(BrokerUnavailable, match="not joined"):
        source.read()


def test_leaving_without_having_joined_does_nothing(source: UpdateConsumer):
    source.leave()


@pytest.mark.parametrize("code", [KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL])
def test_a_member_that_is_fenced_is_out_for_good_and_told_why(source: UpdateConsumer, code: int):
    with pytest.raises(GroupRefused, match="KAFKA_GROUP_INSTANCE_ID"):
        source._judge(KafkaError(code))


def test_other_errors_of_the_stream_are_an_outage_said_once(source: UpdateConsumer):
    with capture_logs() as lines:
        source._judge(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        source._judge(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))

    assert source.outage.lasting
    assert [line["log_level"] for line in lines] == ["warning"]


def test_offsets_of_partitions_that_are_not_ours_are_left_and_the_next_owner_repeats_them(source: UpdateConsumer):
    stop = []
    source.open(stop.extend, stop.extend, lambda _seconds: None)
    with capture_logs() as lines:
        source.store({0: 10})
        source.commit()

    assert [line["log_level"] for line in lines] == ["debug"]
    source.leave()


@pytest.mark.parametrize(
    ("code", "level"),
    [
        (KafkaError._ALL_BROKERS_DOWN, "warning"),
        (KafkaError._AUTHENTICATION, "warning"),
        (KafkaError._TRANSPORT, "debug"),
    ],
)
def test_what_an_operator_must_see_is_told_from_what_passes(source: UpdateConsumer, code: int, level: str):
    with capture_logs() as lines:
        source._options["error_cb"](KafkaError(code))

    assert [line["log_level"] for line in lines] == [level]


def record(partition: int) -> Any:
    return SimpleNamespace(partition=lambda: partition, offset=lambda: 7, error=lambda: None)


def test_a_record_whose_partition_goes_before_the_rest_is_taken_is_left_to_its_next_owner(source: UpdateConsumer):
    def consume(_count: int, _timeout: float) -> list[Any]:
        source._gone.add(0)  # as the revocation does, which the client calls from within
        return [record(1)]

    source._consumer = SimpleNamespace(poll=lambda _timeout: record(0), consume=consume)

    assert [each.partition() for each in source.read()] == [1]
    # The one that came before, with an earlier call, does not matter any more.
    source._consumer.consume = lambda _count, _timeout: []
    assert [each.partition() for each in source.read()] == [0]


def test_when_taking_the_rest_fails_the_first_record_is_not_lost(source: UpdateConsumer):
    def consume(_count: int, _timeout: float) -> list[Any]:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    source._consumer = SimpleNamespace(poll=lambda _timeout: record(0), consume=consume)

    assert [each.partition() for each in source.read()] == [0]


def once(kafka: str, topic: str) -> UpdateConsumer:
    return UpdateConsumer(kafka, topic, f"group-{topic}", timedelta(seconds=3), once=True)


def drain(source: UpdateConsumer) -> int:
    """How many records were read until the source was drained."""
    ignore = lambda _partitions: None  # noqa: E731
    source.open(ignore, ignore, lambda _seconds: None)
    count, stored = 0, {}

    def drained() -> bool:
        nonlocal count
        for each in source.read():
            count += 1
            stored[each.partition()] = each.offset() + 1
        return source.drained

    wait_until(drained, 30)
    source.store(stored)
    source.leave()
    return count


def test_once_it_is_drained_when_all_is_read_that_was_there_and_a_second_time_at_once(
    kafka: str, topic: str, produce: Produce
):
    produce(*(Update(symbol, 1.5, number, number) for number in range(1, 101) for symbol in ("AAPL", "BRK.B")))

    assert drain(once(kafka, topic)) == 200
    assert drain(once(kafka, topic)) == 0


def test_once_without_a_topic_there_is_nothing_to_wait_for(kafka: str, topic: str):
    with pytest.raises(TopicRefused, match="not there"):
        drain(once(kafka, topic))


def test_once_without_a_broker_is_a_trouble_that_passes(topic: str):
    source = once(f"127.0.0.1:{free_port()}", topic)
    source._topic._timeout = 0.2
    with pytest.raises(BrokerUnavailable):
        drain(source)


def test_what_is_read_for_good_is_never_drained(kafka: str, topic: str, source: UpdateConsumer):
    ignore = lambda _partitions: None  # noqa: E731
    source.open(ignore, ignore, lambda _seconds: None)
    wait_until(lambda: [source.read()] and source._own, 15)

    assert source.drained is False
    source.leave()


def test_the_lag_of_its_partitions_is_known_after_a_second(kafka: str, topic: str, produce: Produce):
    produce(*(Update("AAPL", 1.5, number, number) for number in range(1, 11)))
    source = UpdateConsumer(kafka, topic, f"group-{topic}", timedelta(seconds=3))
    ignore = lambda _partitions: None  # noqa: E731
    source.open(ignore, ignore, lambda _seconds: None)
    came = []
    wait_until(lambda: came.extend(source.read()) or len(came) == 10, 15)
    wait_until(lambda: [source.read()] and sum(source.lag.behind.values()) == 10, 15)
    source.store({came[0].partition(): 10})
    wait_until(lambda: [source.read()] and sum(source.lag.behind.values()) == 0, 15)

    source.leave()
    assert source.lag.behind == {}
