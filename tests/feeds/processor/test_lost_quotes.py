"""Redis loses its data, and the quotes of quiet symbols come back from Kafka."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from structlog.testing import capture_logs

from feeds.errors import BrokerUnavailable
from feeds.kafka import processed_updates
from feeds.kafka.processed_updates import UPDATE_BYTES, NewestUpdates, ProcessedUpdates
from feeds.processor import lost_quotes
from feeds.processor.lost_quotes import REPEAT_SECONDS, LostQuotes
from feeds.store.connection import connect
from feeds.store.quote_restorer import MARKER, QuoteRestorer
from feeds.wire import Update, encode, stock_key
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.kafka.fixtures import Produce, committed
from tests.support.publications import Publications
from tests.support.waiting import wait_until

TTL = timedelta(hours=1)
NOW = time.time_ns() // 1000
Process = Callable[..., None]


class Restoring:
    """A LostQuotes that is called by a test, with a clock that the test sets."""

    def __init__(self, kafka: str, topic: str, group: str, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.now = 0.0
        self.restorer = QuoteRestorer(connect({"host": host, "port": int(port)}), TTL)
        self.processed = ProcessedUpdates(kafka, topic, group)
        self.stop = threading.Event()
        self.lost_quotes = LostQuotes(self.restorer, self._read, self.stop, lambda: self.now)
        self.reads = 0

    def _read(self) -> list[tuple[Update, bytes]]:
        self.reads += 1
        return self.processed.read_newest()


@pytest.fixture
def restoring(kafka: str, topic: str, group: str, redis_server: RedisServer) -> Iterator[Restoring]:
    restoring = Restoring(kafka, topic, group, redis_server.address)
    yield restoring
    restoring.restorer.close()


def make_update(symbol: str, number: int, age_seconds: int = 0) -> Update:
    return Update(symbol, 1.5, NOW - age_seconds * 1_000_000 + number, number)


@pytest.fixture
def process(produce: Produce, kafka: str, topic: str, group: str) -> Process:
    """A function that produces updates and commits all records of the topic, as a processor does that writes them."""

    def process(*updates: Update) -> None:
        produce(*updates)
        with Consumer({"bootstrap.servers": kafka, "group.id": group, "log_level": 2}) as consumer:
            partitions = consumer.list_topics(topic, timeout=60).topics[topic].partitions
            places = [TopicPartition(topic, number) for number in partitions]
            for place in places:
                _low, place.offset = consumer.get_watermark_offsets(place, timeout=60)
            consumer.commit(offsets=places, asynchronous=False)
        assert committed(kafka, topic, group) == sum(place.offset for place in places)

    return process


def test_a_quiet_symbol_comes_back_when_redis_has_lost_its_data(
    restoring: Restoring, process: Process, redis_client: redis.Redis, publications: Publications
):
    quiet = make_update("QUIET", 2, age_seconds=600)
    late = make_update("QUIET", 1, age_seconds=900)
    process(quiet, late, make_update("OLD", 1, age_seconds=7200))
    redis_client.flushdb()
    with capture_logs() as lines:
        restoring.lost_quotes.check()

    assert redis_client.get(stock_key("QUIET")) == encode(quiet)
    assert 0 < redis_client.pttl(stock_key("QUIET")) <= 3_000_000, "the time to live counts from the timestamp"
    assert redis_client.get(stock_key("OLD")) is None, "its time to live is over"
    assert publications.count() == 0
    assert [(line["event"], line["quotes"]) for line in lines] == [("Redis has lost quotes, restored from Kafka", 1)]


def test_updates_that_are_not_processed_yet_are_not_restored_and_newer_quotes_stay(
    restoring: Restoring, process: Process, produce: Produce, redis_client: redis.Redis
):
    process(make_update("AAPL", 1), make_update("GOOG", 1))
    produce(make_update("AAPL", 2), make_update("NEW", 1))
    redis_client.flushdb()
    newer = encode(make_update("GOOG", 9))
    redis_client.set(stock_key("GOOG"), newer)
    restoring.lost_quotes.check()

    # The processor publishes these updates: it must find them newer than the stored quotes.
    assert redis_client.get(stock_key("AAPL")) == encode(make_update("AAPL", 1))
    assert redis_client.get(stock_key("NEW")) is None
    assert redis_client.get(stock_key("GOOG")) == newer


def test_quotes_are_restored_twice_and_then_only_after_another_loss(
    restoring: Restoring, process: Process, redis_client: redis.Redis
):
    process(make_update("AAPL", 1))
    redis_client.flushdb()
    check = restoring.lost_quotes.check
    check()
    check()
    assert restoring.reads == 1
    redis_client.delete(stock_key("AAPL"))  # as if its update was not committed at the first time
    restoring.now = REPEAT_SECONDS
    check()
    assert redis_client.exists(stock_key("AAPL"), MARKER) == 2
    check()
    assert restoring.reads == 2
    redis_client.flushdb()
    check()
    assert restoring.reads == 3
    assert redis_client.exists(stock_key("AAPL"))


def test_the_thread_restores_and_ends(
    restoring: Restoring, process: Process, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lost_quotes, "CHECK_SECONDS", 0.01)
    process(make_update("AAPL", 1))
    redis_client.flushdb()
    restoring.lost_quotes.start()
    wait_until(lambda: redis_client.exists(stock_key("AAPL")), 60, "the quote")
    restoring.stop.set()
    restoring.lost_quotes.join(60)
    assert not restoring.lost_quotes.is_alive()


def test_without_kafka_one_line_is_logged_and_the_quotes_come_back_later(restoring: Restoring):
    read = restoring.processed.read_newest
    answers = iter([BrokerUnavailable("no broker"), BrokerUnavailable("no broker"), None])

    def fail_twice() -> list[tuple[Update, bytes]]:
        if error := next(answers):
            raise error
        return read()

    restoring.processed.read_newest = fail_twice  # type: ignore[method-assign]
    with capture_logs() as lines:
        for _ in range(3):
            restoring.lost_quotes.check()
    assert [line["log_level"] for line in lines] == ["warning", "info"]


def test_without_redis_nothing_is_read_and_nothing_is_logged(kafka: str, topic: str, group: str):
    restoring = Restoring(kafka, topic, group, f"127.0.0.1:{free_port()}")
    with capture_logs() as lines:
        restoring.lost_quotes.check()
    assert (lines, restoring.reads) == ([], 0)
    restoring.restorer.close()


def test_an_unreachable_broker_is_an_error_that_can_be_retried(topic: str, group: str):
    processed = ProcessedUpdates(f"127.0.0.1:{free_port()}", topic, group, timeout=0.1)
    with pytest.raises(BrokerUnavailable, match="cannot be read"):
        processed.read_newest()


def test_too_many_symbols_take_limited_memory_and_no_older_update_stands_for_a_newest_one():
    newest = NewestUpdates(3 * (UPDATE_BYTES + 10))
    small, large = b"x" * 10, b"x" * 40
    newest.add(make_update("A", 1), small)
    newest.add(make_update("B", 5), small)
    newest.add(make_update("C", 1), small)
    newest.add(make_update("D", 1), small)  # does not fit
    newest.add(make_update("B", 6), large)  # does not fit either
    newest.add(make_update("B", 4), small)
    newest.add(make_update("A", 2), b"y" * 9)
    newest.add(make_update("A", 1), small)
    newest.add(make_update("D", 2), b"")
    assert newest.list_updates() == [(make_update("A", 2), b"y" * 9), (make_update("C", 1), small)]
    assert newest.left_out == 3
    newest.add(make_update("B", 7), small)
    assert (make_update("B", 7), small) in newest.list_updates()


def test_what_does_not_fit_is_logged_and_the_rest_comes_back(
    restoring: Restoring, process: Process, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processed_updates, "MAX_BYTES", 2 * (UPDATE_BYTES + 200))
    process(*(make_update(f"S{number}", 1) for number in range(5)))
    redis_client.flushdb()
    with capture_logs() as lines:
        restoring.lost_quotes.check()
    assert len(redis_client.keys("stock:*")) == 2
    assert [line.get("updates", line.get("quotes")) for line in lines] == [3, 2]


def test_after_a_reading_that_takes_too_long_fewer_records_are_read(
    process: Process, kafka: str, topic: str, group: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processed_updates, "MIN_RECORDS", 1)
    monkeypatch.setattr(processed_updates, "MAX_RECORDS", 8)
    # All symbols have the same partition.
    process(*(make_update(symbol, 1) for symbol in ("AAPL", "GOOG", "AMZN", "NVDA")))
    seconds = iter([0.0, 61.0, 0.0, 61.0])
    processed = ProcessedUpdates(kafka, topic, group, clock=lambda: next(seconds, 0.0))
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match="could not be read within 60 s"):
            processed.read_newest()
    assert [update.symbol for update, _ in processed.read_newest()] == ["NVDA"]


def test_many_partitions_share_one_limit_of_records(
    process: Process, kafka: str, topic: str, group: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processed_updates, "MIN_RECORDS", 1)
    monkeypatch.setattr(processed_updates, "MAX_ALL_RECORDS", 8)  # two for each of the four partitions
    process(*(make_update(symbol, 1) for symbol in ("AAPL", "GOOG", "AMZN", "NVDA")))
    processed = ProcessedUpdates(kafka, topic, group)
    assert {update.symbol for update, _ in processed.read_newest()} == {"AMZN", "NVDA"}
