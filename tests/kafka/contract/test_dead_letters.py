from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from io import StringIO
from typing import Any

import pytest
import redis
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from django.core.management import CommandError, call_command
from structlog.testing import capture_logs

from feeds.dead_letters import DeadLetter
from feeds.errors import DeadLetterTopicRefused
from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.dead_letter_topic import DeadLetterTopic, read_dead_letters, replay
from feeds.processor.loop import Processor
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.kafka.fixtures import Produce, committed
from tests.support.kafka.members import Join
from tests.support.kafka.running_processor import Run, RunningProcessor, open_writer
from tests.support.publications import Publications
from tests.support.times import at
from tests.support.waiting import wait_until

WEEK = timedelta(days=7)
LARGE = b'{"symbol":"AAPL","note":"' + b"x" * 1_000_000 + b'"}'
INVALID = {
    "not UTF-8": (b"AAPL", b'{"symbol":"\xff\xfe","price":1,"timestamp":1766480000000000,"seq_id":1}'),
    "not JSON": (b"AAPL", b"\x1b[31mnot JSON"),
    "another shape": (b"AAPL", b'["AAPL",1]'),
    "another type": (b"AAPL", b'{"symbol":"AAPL","price":"150","timestamp":1766480000000000,"seq_id":1}'),
    "NaN": (b"AAPL", b'{"symbol":"AAPL","price":NaN,"timestamp":1766480000000000,"seq_id":1}'),
    "another symbol": (b"AAPL", encode(Update("GOOG", 1.5, at(1), 1))),
    "null": (b"AAPL", None),
    "large": (b"AAPL", LARGE),
}


def updates(count: int, first: int = 1) -> list[Update]:
    return [Update("AAPL", 1.5, at(number), number) for number in range(first, first + count)]


@pytest.fixture
def dlq(topic: str) -> str:
    return f"{topic}.dlq"


@pytest.fixture
def run(
    kafka: str, topic: str, dlq: str, group: str, redis_server: RedisServer, redis_client: redis.Redis
) -> Iterator[Run]:
    """Starts a processor: until `stop` with the given dead letters, else with `once`."""
    started: list[RunningProcessor] = []

    def run(dead_letters: DeadLetterTopic | None = None) -> RunningProcessor:
        consumer = UpdateConsumer(kafka, topic, group, timedelta(seconds=6), once=dead_letters is None)
        dead_letters = dead_letters or DeadLetterTopic(kafka, dlq, WEEK)
        processor = Processor(consumer, dead_letters, lambda: open_writer(redis_server), 2, topic)
        started.append(RunningProcessor(processor))
        return started[-1]

    yield run
    for each in started:
        each.stop()


def test_each_kind_of_invalid_record_becomes_a_dead_letter_in_order_and_updates_are_processed(
    kafka: str, topic: str, dlq: str, group: str, produce: Produce, run: Run, redis_client: redis.Redis
):
    publications = Publications(redis_client)
    for number, record in enumerate(INVALID.values(), 1):
        produce(*updates(1, first=number), record)
    processor = run()

    assert processor.wait() is True
    dead_letters = list(read_dead_letters(kafka, dlq))
    assert [each.reason for each in dead_letters] == [*["malformed"] * 5, "key", "null", "oversize"]
    offsets = [each.origin[2] for each in dead_letters]
    assert offsets == list(range(offsets[0], offsets[0] + 16, 2))
    assert {each.origin[:2] for each in dead_letters} == {(topic, dead_letters[0].origin[1])}
    assert [(each.key, each.value) for each in dead_letters[:-1]] == list(INVALID.values())[:-1]
    assert (dead_letters[-1].value, dead_letters[-1].headers["length"]) == (LARGE[:4096], str(len(LARGE)))
    assert dead_letters[-1].headers["sha256"] == sha256(LARGE).hexdigest()
    assert redis_client.get("stock:AAPL") == encode(updates(1, first=8)[0])
    assert committed(kafka, topic, group) == 16
    assert [data for _channel, data in publications.take()] == [encode(update) for update in updates(8)]
    publications.close()


def test_without_a_dead_letter_topic_the_processor_stops_and_commits_nothing_behind_the_record(
    kafka: str, topic: str, group: str, produce: Produce, run: Run, redis_client: redis.Redis
):
    produce(*updates(3), (b"AAPL", b"poison"), *updates(3, first=4))
    unreachable = DeadLetterTopic(f"127.0.0.1:{free_port()}", "market_ticks.dlq", WEEK)
    unreachable._topic._timeout = 0.2
    processor = run(unreachable)
    processor.wait()

    assert isinstance(processor.error, DeadLetterTopicRefused)
    assert "market_ticks.dlq" in str(processor.error)
    assert "\n" not in str(processor.error)
    assert committed(kafka, topic, group) <= 3

    # With a writable topic it continues at that record and loses nothing.
    run().wait()
    assert committed(kafka, topic, group) == 7
    assert redis_client.get("stock:AAPL") == encode(updates(1, first=6)[0])


# Embedded brokers have no limits per topic.
@pytest.mark.parametrize("kafka", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)
def test_a_topic_that_refuses_the_dead_letter_stops_the_processor(
    kafka: str, topic: str, dlq: str, group: str, produce: Produce, run: Run
):
    limited = NewTopic(dlq, 4, 3, config={"max.message.bytes": "100"})
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([limited])[dlq].result()
    produce((b"AAPL", b"poison" * 100))
    processor = run(DeadLetterTopic(kafka, dlq, WEEK))
    processor.wait()

    assert isinstance(processor.error, DeadLetterTopicRefused)
    assert committed(kafka, topic, group) == 0


@pytest.fixture
def dead_letters(kafka: str, dlq: str, produce: Produce, run: Run) -> list[DeadLetter]:
    """Two dead letters, the second one truncated."""
    produce(INVALID["not JSON"], INVALID["large"])
    run().wait()
    return list(read_dead_letters(kafka, dlq))


def test_a_dead_letter_is_replayed_unless_it_was_truncated(
    kafka: str, dead_letters: list[DeadLetter], join: Join, group: str
):
    result = replay(kafka, dead_letters)

    assert (result.acknowledged, result.unacknowledged, result.truncated) == (1, 0, [dead_letters[1]])
    member, records = join(f"{group}-reader"), []
    wait_until(lambda: records.extend(member.read()) or len(records) >= 3, 60, "three records")
    assert [(record.key(), record.value()) for record in records][2] == INVALID["not JSON"]


def test_a_replay_without_a_broker_counts_unacknowledged_dead_letters(dead_letters: list[DeadLetter]):
    result = replay(f"127.0.0.1:{free_port()}", dead_letters[:1], timeout=0.2)

    assert (result.acknowledged, result.unacknowledged) == (0, 1)


def test_a_missing_topic_has_no_dead_letters(kafka: str, dlq: str):
    assert list(read_dead_letters(kafka, f"{dlq}.none")) == []


def test_a_record_that_is_not_a_dead_letter_is_skipped_and_logged(kafka: str, topic: str, produce: Produce):
    produce(*updates(2))
    with capture_logs() as lines:
        assert list(read_dead_letters(kafka, topic)) == []

    assert [line["log_level"] for line in lines] == ["warning", "warning"]


@pytest.fixture
def command(kafka: str, dlq: str, settings: Any) -> Callable[..., str]:
    settings.KAFKA_BROKERS, settings.KAFKA_DLQ_TOPIC = kafka, dlq

    def command(*arguments: str) -> str:
        output = StringIO()
        call_command("deadletters", *arguments, stdout=output)
        return output.getvalue()

    return command


def test_the_command_lists_shows_and_replays(dead_letters: list[DeadLetter], command: Callable[..., str]):
    titles, first, second = command("list").splitlines()
    assert titles.startswith("PARTITION")
    assert ("malformed" in first, "oversize" in second) == (True, True)
    assert command("list", "--reason", "key").splitlines() == [titles]

    shown = command("show", "--offset", str(dead_letters[0].origin[2]))
    assert "value: \\x1b[31mnot JSON" in shown
    assert "\x1b" not in shown

    assert command("replay", "--reason", "malformed") == "replayed 1, refused 0, not acknowledged 0\n"
    with pytest.raises(SystemExit):
        command("replay", "--limit", "1")


def test_the_command_reports_an_unreachable_kafka_in_one_line(command: Callable[..., str], settings: Any):
    settings.KAFKA_BROKERS = f"127.0.0.1:{free_port()}"

    with pytest.raises(CommandError, match="no answer from"):
        command("list")


@pytest.mark.parametrize("limit", ["0", "-5", "two", "1.5"])
def test_an_invalid_limit_is_refused_before_anything_is_read(limit: str):
    with pytest.raises(CommandError, match=f"--limit: '{limit}' is not a whole number"):
        call_command("deadletters", "list", f"--limit={limit}")
