import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, murmur2
from structlog.testing import capture_logs

from feeds.errors import BrokerUnavailable, GroupRefused, TopicRefused
from feeds.kafka.consumer import UpdateConsumer
from feeds.wire import Update
from stockwatch.local.redis_server import free_port
from tests.support.kafka.fixtures import Produce
from tests.support.times import at
from tests.support.waiting import wait_until


@pytest.fixture
def consumer(kafka: str, topic: str) -> UpdateConsumer:
    return UpdateConsumer(kafka, topic, "group", timedelta(seconds=3), instance_id="one")


def test_a_consumer_that_has_not_joined_cannot_read(consumer: UpdateConsumer):
    with pytest.raises(BrokerUnavailable, match="has not joined"):
        consumer.read()


def test_leaving_without_having_joined_does_nothing(consumer: UpdateConsumer):
    earlier = threading.enumerate()
    with capture_logs() as lines:
        consumer.leave()

    assert lines == []
    assert not any(thread.name == "leaving" for thread in threading.enumerate() if thread not in earlier)


@pytest.mark.parametrize("code", [KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL])
def test_a_fenced_member_is_refused_with_the_variable_to_change(consumer: UpdateConsumer, code: int):
    with pytest.raises(GroupRefused, match="KAFKA_GROUP_INSTANCE_ID"):
        consumer._handle_error(KafkaError(code))


def test_other_errors_of_the_stream_are_an_outage_logged_once(consumer: UpdateConsumer):
    with capture_logs() as lines:
        consumer._handle_error(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        consumer._handle_error(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))

    assert consumer.outage.ongoing
    assert [line["log_level"] for line in lines] == ["warning"]


def test_offsets_of_partitions_that_are_not_assigned_are_not_stored(consumer: UpdateConsumer):
    removed = []
    consumer.open(removed.extend, removed.extend, lambda _seconds: None)
    with capture_logs() as lines:
        consumer.store({0: 10})
        consumer.commit()

    assert [line["log_level"] for line in lines] == ["debug"]
    consumer.leave()


@pytest.mark.parametrize(
    ("code", "level"),
    [
        (KafkaError._ALL_BROKERS_DOWN, "warning"),
        (KafkaError._AUTHENTICATION, "warning"),
        (KafkaError._TRANSPORT, "debug"),
    ],
)
def test_errors_for_the_operator_are_warnings_and_transient_ones_are_not(
    consumer: UpdateConsumer, code: int, level: str
):
    with capture_logs() as lines:
        consumer._options["error_cb"](KafkaError(code))

    assert [line["log_level"] for line in lines] == [level]


def record(partition: int) -> Any:
    return SimpleNamespace(partition=lambda: partition, offset=lambda: 7, error=lambda: None)


def test_a_record_whose_partition_is_revoked_during_a_read_is_dropped(consumer: UpdateConsumer):
    def consume(_count: int, _timeout: float) -> list[Any]:
        consumer._removed_during_read.add(0)  # as the rebalance callback does
        return [record(1)]

    consumer._consumer = SimpleNamespace(poll=lambda _timeout: record(0), consume=consume)

    assert [each.partition() for each in consumer.read()] == [1]
    # A revocation during an earlier read does not matter.
    consumer._consumer.consume = lambda _count, _timeout: []
    assert [each.partition() for each in consumer.read()] == [0]


def test_the_first_record_is_kept_if_reading_the_others_fails(consumer: UpdateConsumer):
    def consume(_count: int, _timeout: float) -> list[Any]:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    consumer._consumer = SimpleNamespace(poll=lambda _timeout: record(0), consume=consume)

    assert [each.partition() for each in consumer.read()] == [0]


def once_consumer(kafka: str, topic: str) -> UpdateConsumer:
    return UpdateConsumer(kafka, topic, f"group-{topic}", timedelta(seconds=3), once=True)


def drain(consumer: UpdateConsumer) -> int:
    """Reads until the consumer is drained, and returns the number of records."""
    ignore = lambda _partitions: None  # noqa: E731
    consumer.open(ignore, ignore, lambda _seconds: None)
    count, offsets = 0, {}

    def drained() -> bool:
        nonlocal count
        for each in consumer.read():
            count += 1
            offsets[each.partition()] = each.offset() + 1
        return consumer.drained

    wait_until(drained)
    consumer.store(offsets)
    consumer.leave()
    return count


def test_with_once_it_is_drained_after_all_existing_records_and_then_at_once(kafka: str, topic: str, produce: Produce):
    produce(*(Update(symbol, 1.5, at(number), number) for number in range(1, 101) for symbol in ("AAPL", "BRK.B")))

    assert drain(once_consumer(kafka, topic)) == 200
    assert drain(once_consumer(kafka, topic)) == 0


def test_with_once_a_missing_topic_is_refused(kafka: str, topic: str):
    with pytest.raises(TopicRefused, match="does not exist"):
        drain(once_consumer(kafka, topic))


def test_with_once_a_missing_broker_raises_a_transient_error(topic: str):
    consumer = once_consumer(f"127.0.0.1:{free_port()}", topic)
    consumer._topic._timeout = 0.2
    with pytest.raises(BrokerUnavailable):
        drain(consumer)


def test_without_once_it_is_never_drained(kafka: str, topic: str, consumer: UpdateConsumer):
    ignore = lambda _partitions: None  # noqa: E731
    consumer.open(ignore, ignore, lambda _seconds: None)
    wait_until(lambda: [consumer.read()] and consumer.assigned)

    assert consumer.drained is False
    consumer.leave()


def test_the_lag_of_assigned_partitions_is_known_after_a_second(kafka: str, topic: str, produce: Produce):
    produce(*(Update("AAPL", 1.5, at(number), number) for number in range(1, 11)))
    consumer = UpdateConsumer(kafka, topic, f"group-{topic}", timedelta(seconds=3))
    ignore = lambda _partitions: None  # noqa: E731
    consumer.open(ignore, ignore, lambda _seconds: None)
    records = []
    wait_until(lambda: records.extend(consumer.read()) or len(records) == 10)
    wait_until(lambda: [consumer.read()] and sum(consumer.lag.by_partition.values()) == 10)
    consumer.store({records[0].partition(): 10})
    wait_until(lambda: [consumer.read()] and sum(consumer.lag.by_partition.values()) == 0)

    consumer.leave()
    assert consumer.lag.by_partition == {}


def test_it_has_read_all_only_if_it_has_all_partitions_and_has_read_them_to_their_ends(
    kafka: str, topic: str, produce: Produce
):
    produce(*(Update("AAPL", 1.5, at(number), number) for number in range(1, 11)))
    consumer, found = UpdateConsumer(kafka, topic, f"group-{topic}", timedelta(seconds=3)), []

    def read() -> int:
        if len(found) < 10:
            assert not consumer.has_read_all()
        found.extend(consumer.read())
        return len(found)

    ignore = lambda _partitions: None  # noqa: E731
    consumer.open(ignore, ignore, lambda _seconds: None)
    wait_until(lambda: read() >= 10)
    wait_until(lambda: read() and consumer.has_read_all())
    assert consumer.owns("AAPL")
    assert consumer.has_read("AAPL")
    consumer.assigned.remove(murmur2(b"AAPL", 4))
    assert not consumer.has_read_all()
    assert not consumer.has_read("AAPL")
    assert not consumer.owns("AAPL")
    consumer.assigned.clear()
    assert not consumer.owns("AAPL")
    consumer.leave()


class FoundOnce:
    """Names the other brokers once."""

    def __init__(self, others: str) -> None:
        self.others = others

    def find_others(self) -> str:
        others, self.others = self.others, ""
        return others

    def note_read(self) -> None:
        pass


def test_a_consumer_that_leaves_lost_brokers_loses_its_partitions_and_reads_on_from_the_commit(
    kafka: str, topic: str, produce: Produce
):
    produce(*(Update("AAPL", 1.5, at(number), number) for number in range(1, 11)))
    consumer = UpdateConsumer(kafka, topic, f"group-{topic}", timedelta(seconds=3))
    revoked: list[int] = []
    lost: list[int] = []
    consumer.open(revoked.extend, lost.extend, lambda _seconds: None)
    found: list[int] = []

    def read() -> list[int]:
        found.extend(each.offset() for each in consumer.read())
        return found

    wait_until(lambda: len(read()) == 10)
    consumer.store({murmur2(b"AAPL", 4): 4})
    consumer.commit()
    former = consumer._consumer
    found.clear()
    consumer._search = FoundOnce(",".join(kafka.split(",")[1:]))
    wait_until(lambda: [read()] and lost)
    assert sorted(lost) == [0, 1, 2, 3]
    assert consumer._consumer is not former
    assert consumer.outage.ongoing

    wait_until(lambda: len(read()) == 6)
    assert found == [4, 5, 6, 7, 8, 9]
    assert not consumer.outage.ongoing
    assert (revoked, len(lost)) == ([], 4)
    wait_until(lambda: not any(thread.name == "leaving lost brokers" for thread in threading.enumerate()))
    consumer.leave()


def test_an_embedded_cluster_is_not_searched_for_lost_brokers(consumer: UpdateConsumer):
    ignore = lambda _partitions: None  # noqa: E731
    consumer.open(ignore, ignore, lambda _seconds: None)
    assert consumer._search._addresses == [""]
    consumer.leave()


def test_every_client_looks_for_new_partitions_within_seconds(consumer: UpdateConsumer):
    assert consumer._options["topic.metadata.refresh.interval.ms"] == 5000
