from datetime import timedelta

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from feeds.errors import BrokerUnavailable, GroupRefused
from feeds.kafka.source import Source


@pytest.fixture
def source(kafka: str, topic: str) -> Source:
    return Source(kafka, topic, "group", timedelta(seconds=3), instance_id="one")


def test_before_it_has_joined_nothing_can_be_read(source: Source):
    with pytest.raises(BrokerUnavailable, match="not joined"):
        source.read()


def test_leaving_without_having_joined_does_nothing(source: Source):
    source.leave()


@pytest.mark.parametrize("code", [KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL])
def test_a_member_that_is_fenced_is_out_for_good_and_told_why(source: Source, code: int):
    with pytest.raises(GroupRefused, match="KAFKA_GROUP_INSTANCE_ID"):
        source._judge(KafkaError(code))


def test_other_errors_of_the_stream_are_an_outage_said_once(source: Source):
    with capture_logs() as lines:
        source._judge(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        source._judge(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))

    assert source.outage.lasting
    assert [line["log_level"] for line in lines] == ["warning"]


def test_offsets_of_partitions_that_are_not_ours_are_left_and_the_next_owner_repeats_them(source: Source):
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
def test_what_an_operator_must_see_is_told_from_what_passes(source: Source, code: int, level: str):
    with capture_logs() as lines:
        source._options["error_cb"](KafkaError(code))

    assert [line["log_level"] for line in lines] == [level]
