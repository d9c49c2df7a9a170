import threading
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
from feeds.store.connection import connect
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.kafka.fixtures import Produce, committed
from tests.support.kafka.members import Join
from tests.support.waiting import wait_until

WEEK = timedelta(days=7)
BIG = b'{"symbol":"AAPL","note":"' + b"x" * 1_000_000 + b'"}'
POISON = {
    "not UTF-8": (b"AAPL", b'{"symbol":"\xff\xfe","price":1,"timestamp":1,"seq_id":1}'),
    "not JSON": (b"AAPL", b"\x1b[31mnot JSON"),
    "another shape": (b"AAPL", b'["AAPL",1]'),
    "another type": (b"AAPL", b'{"symbol":"AAPL","price":"150","timestamp":1,"seq_id":1}'),
    "NaN": (b"AAPL", b'{"symbol":"AAPL","price":NaN,"timestamp":1,"seq_id":1}'),
    "another symbol": (b"AAPL", encode(Update("GOOG", 1.5, 1, 1))),
    "null": (b"AAPL", None),
    "large": (b"AAPL", BIG),
}


def updates(count: int, first: int = 1) -> list[Update]:
    return [Update("AAPL", 1.5, number, number) for number in range(first, first + count)]


@pytest.fixture
def dlq(topic: str) -> str:
    return f"{topic}.dlq"


class Pipeline:
    """A processing loop over the topic in a thread of its own."""

    def __init__(self, source: UpdateConsumer, letters: DeadLetterTopic, server: RedisServer) -> None:
        self.error: Exception | None = None
        self.done: bool | None = None
        self._stop = threading.Event()
        address = {"host": server.host, "port": server.port}
        self._processing = Processor(source, letters, lambda: QuoteWriter(connect(address), WEEK), 2, source._name)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.done = self._processing.run(self._stop)
        except DeadLetterTopicRefused as error:
            self.error = error

    def end(self) -> None:
        self._stop.set()
        self.wait()

    def wait(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


Run = Callable[..., Pipeline]


@pytest.fixture
def run(
    kafka: str, topic: str, dlq: str, group: str, redis_server: RedisServer, redis_client: redis.Redis
) -> Iterator[Run]:
    started: list[Pipeline] = []

    def run(letters: DeadLetterTopic | None = None) -> Pipeline:
        source = UpdateConsumer(kafka, topic, group, timedelta(seconds=6), once=letters is None)
        started.append(Pipeline(source, letters or DeadLetterTopic(kafka, dlq, WEEK), redis_server))
        return started[-1]

    yield run
    for each in started:
        each.end()


def test_each_kind_of_poison_is_put_aside_in_order_and_the_rest_is_processed(
    kafka: str, topic: str, dlq: str, group: str, produce: Produce, run: Run, redis_client: redis.Redis
):
    heard = redis_client.pubsub()
    heard.subscribe("prices.AAPL")
    for number, record in enumerate(POISON.values(), 1):
        produce(*updates(1, first=number), record)
    line = run()
    line.wait()

    assert (line.done, line.error) == (True, None)
    letters = list(read_dead_letters(kafka, dlq))
    assert [letter.reason for letter in letters] == [*["malformed"] * 5, "key", "null", "oversize"]
    offsets = [letter.origin[2] for letter in letters]
    assert offsets == list(range(offsets[0], offsets[0] + 16, 2))
    assert {letter.origin[:2] for letter in letters} == {(topic, letters[0].origin[1])}
    assert [(letter.key, letter.value) for letter in letters[:-1]] == list(POISON.values())[:-1]
    assert (letters[-1].value, letters[-1].headers["length"]) == (BIG[:4096], str(len(BIG)))
    assert letters[-1].headers["sha256"] == sha256(BIG).hexdigest()
    assert redis_client.get("stock:AAPL") == encode(updates(1, first=8)[0])
    assert committed(kafka, topic, group) == 16
    published = [
        message["data"] for _ in range(9) if (message := heard.get_message(timeout=5)) and message["data"] != 1
    ]
    assert published == [encode(update) for update in updates(8)]
    heard.close()


def test_where_letters_cannot_be_written_the_processor_stops_and_commits_nothing_behind_the_record(
    kafka: str, topic: str, group: str, produce: Produce, run: Run, redis_client: redis.Redis
):
    produce(*updates(3), (b"AAPL", b"poison"), *updates(3, first=4))
    nowhere = DeadLetterTopic(f"127.0.0.1:{free_port()}", "market_ticks.dlq", WEEK)
    nowhere._place._timeout = 0.2
    line = run(nowhere)
    line.wait()

    assert isinstance(line.error, DeadLetterTopicRefused)
    assert "market_ticks.dlq" in str(line.error)
    assert "\n" not in str(line.error)
    assert committed(kafka, topic, group) <= 3

    # With a topic that can be written it goes on at the record, and loses nothing.
    run().wait()
    assert committed(kafka, topic, group) == 7
    assert redis_client.get("stock:AAPL") == encode(updates(1, first=6)[0])


# Embedded brokers have no limits of a topic's own.
@pytest.mark.parametrize("kafka", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)
def test_a_topic_that_refuses_the_letter_stops_the_processor_too(
    kafka: str, topic: str, dlq: str, group: str, produce: Produce, run: Run
):
    narrow = NewTopic(dlq, 4, 3, config={"max.message.bytes": "100"})
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([narrow])[dlq].result()
    produce((b"AAPL", b"poison" * 100))
    line = run(DeadLetterTopic(kafka, dlq, WEEK))
    line.wait()

    assert isinstance(line.error, DeadLetterTopicRefused)
    assert committed(kafka, topic, group) == 0


@pytest.fixture
def aside(kafka: str, dlq: str, produce: Produce, run: Run) -> list[DeadLetter]:
    """Two letters, the second one of them cut."""
    produce(POISON["not JSON"], POISON["large"])
    run().wait()
    return list(read_dead_letters(kafka, dlq))


def test_what_was_put_aside_is_replayed_as_it_was_unless_it_was_cut(
    kafka: str, aside: list[DeadLetter], join: Join, group: str
):
    report = replay(kafka, aside)

    assert (report.acked, report.missing, report.cut) == (1, 0, [aside[1]])
    member, came = join(f"{group}-reader"), []
    wait_until(lambda: came.extend(member.read()) or len(came) >= 3, 60, "three records")
    assert [(record.key(), record.value()) for record in came][2] == POISON["not JSON"]


def test_a_replay_that_reaches_nobody_says_so(aside: list[DeadLetter]):
    report = replay(f"127.0.0.1:{free_port()}", aside[:1], timeout=0.2)

    assert (report.acked, report.missing) == (0, 1)


def test_without_a_topic_there_are_no_letters(kafka: str, dlq: str):
    assert list(read_dead_letters(kafka, f"{dlq}.none")) == []


def test_what_is_no_letter_is_skipped_and_said(kafka: str, topic: str, produce: Produce):
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


def test_the_command_lists_shows_and_replays(aside: list[DeadLetter], command: Callable[..., str]):
    titles, first, second = command("list").splitlines()
    assert titles.startswith("PARTITION")
    assert ("malformed" in first, "oversize" in second) == (True, True)
    assert command("list", "--reason", "key").splitlines() == [titles]

    shown = command("show", "--offset", str(aside[0].origin[2]))
    assert "value: \\x1b[31mnot JSON" in shown
    assert "\x1b" not in shown

    assert command("replay", "--reason", "malformed") == "replayed 1, refused 0, not acknowledged 0\n"
    with pytest.raises(SystemExit):
        command("replay", "--limit", "1")


def test_the_command_says_in_one_line_that_kafka_is_away(command: Callable[..., str], settings: Any):
    settings.KAFKA_BROKERS = f"127.0.0.1:{free_port()}"

    with pytest.raises(CommandError, match="no answer from"):
        command("list")


@pytest.mark.parametrize("limit", ["0", "-5", "two", "1.5"])
def test_a_limit_that_is_no_count_is_refused_before_anything_is_read(limit: str):
    with pytest.raises(CommandError, match=f"--limit: '{limit}' is no count"):
        call_command("deadletters", "list", f"--limit={limit}")
