import time
from datetime import timedelta

import pytest
import redis
from structlog.testing import capture_logs

from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.dead_letter_topic import read_dead_letters
from feeds.processor import loop
from feeds.processor.loop import Processor
from feeds.store.connection import connect
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.kafka.fixtures import Produce, committed
from tests.support.kafka.running_processor import (
    SYMBOLS,
    Run,
    RunningProcessor,
    UnavailableWriter,
    dead_letter_topic,
    make_updates,
    open_writer,
    values_by_symbol,
)
from tests.support.publications import Publications
from tests.support.times import at
from tests.support.waiting import wait_until

SESSION_TIMEOUT = timedelta(seconds=3)
HOUR_US = 3_600_000_000
YEAR_US = 365 * 24 * HOUR_US


def test_updates_flow_in_order_invalid_records_become_dead_letters_and_a_restart_continues(
    run: Run, produce: Produce, publications: Publications, kafka: str, topic: str, group: str
):
    updates = make_updates(300)
    invalid = [(b"AAPL", b"not JSON"), (b"AAPL", None), (None, b"{}"), (b"GOOG", encode(updates[0]))]
    produce(*updates[:500], *invalid, *updates[500:])
    with capture_logs() as lines:
        running = run()
        wait_until(lambda: publications.count() == 1500)
        assert running.stop() is True

    assert publications.by_symbol == values_by_symbol(updates)
    logged = [line for line in lines if line["event"] == "invalid record"]
    assert len(logged) == 4
    assert {"topic", "partition", "offset", "reason"} <= logged[0].keys()
    dead_letters = list(read_dead_letters(kafka, f"{topic}.dlq"))
    assert sorted(each.reason for each in dead_letters) == ["key", "malformed", "malformed", "null"]
    assert not any("not JSON" in str(line.get("record", "")) for line in logged)
    assert committed(kafka, topic, group) == 1504

    produce(*make_updates(10, first=301))
    run()
    wait_until(lambda: publications.count() == 1550)
    assert publications.by_symbol == values_by_symbol(make_updates(310))


def test_an_empty_redis_after_a_kill_gets_every_symbol_and_the_outage_is_logged_once(
    kafka: str, topic: str, group: str, produce: Produce, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "MAX_PENDING_UPDATES", 50)
    produce(*make_updates(1))
    with RedisServer() as server, capture_logs() as lines:
        client = redis.Redis(host=server.host, port=server.port, protocol=2)
        consumer = UpdateConsumer(kafka, topic, group, SESSION_TIMEOUT)
        processor = Processor(consumer, dead_letter_topic(kafka, topic), lambda: open_writer(server), 2, topic)
        running = RunningProcessor(processor)
        wait_until(lambda: client.dbsize() == len(SYMBOLS))
        server.kill()
        produce(*make_updates(400, first=2))
        wait_until(lambda: processor._paused, what="a pause of the partitions")
        server.start()
        publications = Publications(client)
        last = {symbol: encode(Update(symbol, 1.5, at(401), 401)) for symbol in SYMBOLS}
        wait_until(lambda: all(client.get(f"stock:{symbol}") == value for symbol, value in last.items()))
        assert running.stop() is True
        publications.count()

        # Publication starts again at some update, and is complete and in order from there.
        expected = values_by_symbol(make_updates(401))
        for symbol, values in publications.by_symbol.items():
            assert values == expected[symbol][-len(values) :]
        publications.close()
        client.close()
    assert committed(kafka, topic, group) == 401 * len(SYMBOLS)
    logged = [line for line in lines if line["event"].startswith("Redis ")]
    assert [(line["log_level"], line["event"]) for line in logged] == [
        ("warning", "Redis unavailable"),
        ("info", "Redis available again"),
    ]


def test_a_stop_during_a_redis_outage_ends_in_time_and_commits_nothing_unfinished(
    run: Run, produce: Produce, kafka: str, topic: str, group: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "DRAIN_SECONDS", 0.1)
    unreachable = {"host": "127.0.0.1", "port": free_port()}
    produce(*make_updates(10))
    running = run(writer=lambda: QuoteWriter(connect(unreachable), timedelta(hours=1)))
    wait_until(lambda: running.processor._ledger.pending())

    assert running.stop() is False
    assert committed(kafka, topic, group) == 0


def test_a_second_processor_takes_partitions_and_nothing_is_lost_or_reordered(
    run: Run, produce: Produce, publications: Publications
):
    produce(*make_updates(100))
    first = run()
    wait_until(lambda: publications.count() == 500)
    with capture_logs() as lines:
        second = run()
        total = 100
        while not any(line["event"] == "partitions assigned" for line in lines):
            produce(*make_updates(5, first=total + 1))
            total += 5
            publications.count()
            assert not second.stop_event.wait(0.05)
            assert total < 20_000
    produce(*make_updates(100, first=total + 1))
    wait_until(lambda: publications.count() == (total + 100) * len(SYMBOLS))

    assert publications.by_symbol == values_by_symbol(make_updates(total + 100))
    assert first.stop() is True
    assert second.stop() is True


def test_without_a_broker_it_waits_logs_it_once_and_stops_on_request(topic: str, group: str):
    consumer = UpdateConsumer(f"127.0.0.1:{free_port()}", topic, group, SESSION_TIMEOUT)
    consumer._topic._timeout = 0.1
    with capture_logs() as lines:
        processor = Processor(consumer, dead_letter_topic("nowhere:1", topic), UnavailableWriter, 1, topic)
        running = RunningProcessor(processor)
        wait_until(lambda: any(line["event"] == "Kafka unavailable" for line in lines))
        assert running.stop() is True

    assert len([line for line in lines if line["log_level"] == "warning"]) == 1


def test_many_invalid_records_have_ten_log_lines_per_second_and_a_count(
    run: Run, produce: Produce, kafka: str, topic: str, group: str
):
    produce(*[(b"AAPL", b"poison")] * 3_000)
    with capture_logs() as lines:
        running = run()
        wait_until(lambda: lag(running) == 0 and running.processor._dead_letters.pending == 0)
        assert running.stop() is True

    logged = [line for line in lines if line["event"] == "invalid record"]
    counts = [line["count"] for line in lines if line["event"].startswith("more invalid records")]
    assert 10 <= len(logged) <= 10 * (len(counts) + 1)
    assert committed(kafka, topic, group) == 3_000
    assert len(list(read_dead_letters(kafka, f"{topic}.dlq"))) == 3_000


def lag(running: RunningProcessor) -> int:
    """The lag of all partitions; a partition of unknown lag counts one."""
    return sum(running.processor._consumer.lag.by_partition.get(partition, 1) for partition in range(4))


def test_updates_without_a_possible_timestamp_become_dead_letters_and_block_no_later_one(
    run: Run, produce: Produce, publications: Publications, kafka: str, topic: str
):
    now = time.time_ns() // 1000
    impossible = [Update("AAPL", 99_999.0, timestamp, 1) for timestamp in (now // 1000, now + HOUR_US, 200 * YEAR_US)]
    ahead = Update("AAPL", 2.5, now + 60_000_000, 7)
    produce(*impossible, Update("AAPL", 1.5, now, 6), ahead)
    running = run()
    wait_until(lambda: publications.count() == 2)
    assert running.stop() is True

    assert publications.by_symbol["AAPL"] == [encode(Update("AAPL", 1.5, now, 6)), encode(ahead)]
    letters = list(read_dead_letters(kafka, f"{topic}.dlq"))
    assert [letter.reason for letter in letters] == ["timestamp"] * 3
