from datetime import timedelta

import pytest
import redis
from confluent_kafka import murmur2
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from feeds.processor import loop
from feeds.processor.partitions import choose_worker
from feeds.store.connection import connect
from feeds.wire import Update, encode
from stockwatch.local.redis_server import RedisServer
from tests.support.kafka.fixtures import Produce, committed
from tests.support.kafka.running_processor import (
    SYMBOLS,
    BlockingWriter,
    FailingWriter,
    Run,
    RunningProcessor,
    UnavailableWriter,
    make_updates,
    open_writer,
)
from tests.support.publications import Publications
from tests.support.times import at
from tests.support.waiting import wait_until


def test_a_bug_in_a_worker_ends_the_loop_and_commits_nothing_unfinished(
    run: Run, produce: Produce, kafka: str, topic: str, group: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "DRAIN_SECONDS", 0.1)
    produce(*make_updates(1))
    with capture_logs() as lines:
        running = run(workers=1, writer=FailingWriter)
        assert running.wait() is False

    assert running.processor.failed
    assert [line["log_level"] for line in lines if line["event"] == "worker failed"] == ["error"]
    assert committed(kafka, topic, group) == 0


def test_after_losing_its_partitions_a_processor_starts_no_write_for_them(run: Run, produce: Produce):
    writer = UnavailableWriter()
    produce(*make_updates(3))
    running = run(workers=1, writer=lambda: writer)
    wait_until(lambda: writer.calls)
    ledger = running.processor._ledger
    running.processor._on_lost([0, 1, 2, 3])
    calls = writer.calls + 1  # one may be in progress
    writer.available.set()

    assert running.stop() is True
    assert writer.calls <= calls
    assert ledger.pending() == 0


def test_a_stalled_worker_is_logged_once_keeps_its_partitions_and_the_others_continue(
    run: Run, produce: Produce, redis_server: RedisServer, redis_client: redis.Redis
):
    blocked = BlockingWriter(connect({"host": redis_server.host, "port": redis_server.port}), timedelta(hours=1))
    writers = [blocked, open_writer(redis_server)]
    blocked_symbols = [symbol for symbol in SYMBOLS if choose_worker(symbol, 2) == 0]
    other_keys = [f"stock:{symbol}" for symbol in SYMBOLS if symbol not in blocked_symbols]
    clock = [0.0]
    produce(*make_updates(1))
    with capture_logs() as lines:
        running = run(workers=2, writer=lambda: writers.pop(0), clock=lambda: clock[0])
        wait_until(lambda: all(redis_client.mget(other_keys)))
        wait_until(lambda: pending_by_worker(running) == {0: len(blocked_symbols)})
        clock[0] = loop.STALLED_AFTER_SECONDS + 1
        wait_until(lambda: any(line["event"] == "worker stalled" for line in lines))
        assert stalled_workers() == 1
        produce(*make_updates(20, first=2))
        newest = [encode(Update(key.removeprefix("stock:"), 1.5, at(21), 21)) for key in other_keys]
        wait_until(lambda: redis_client.mget(other_keys) == newest)
        blocked.unblock.set()
        symbol = blocked_symbols[0]
        wait_until(lambda: redis_client.get(f"stock:{symbol}") == encode(Update(symbol, 1.5, at(21), 21)))
        wait_until(lambda: pending_by_worker(running) == {})
        clock[0] += loop.CHECK_SECONDS
        wait_until(lambda: any(line["event"] == "worker resumed" for line in lines))
        assert running.stop() is True

    logged = [line for line in lines if line["event"] == "worker stalled"]
    assert [(line["log_level"], line["worker"], line["updates"]) for line in logged] == [
        ("warning", 0, len(blocked_symbols))
    ]
    assert stalled_workers() == 0
    events = [line["event"] for line in lines]
    assert events.index("partitions revoked") > events.index("worker resumed")


def test_ages_and_delays_count_each_update_of_a_write(run: Run, produce: Produce):
    updates = make_updates(5)
    before = [observed(name) for name in ("age", "delay")]
    produce(*updates)
    running = run(workers=1)
    wait_until(lambda: observed("age") == before[0] + len(updates))
    assert running.stop() is True
    assert observed("delay") == before[1] + len(updates)


def observed(name: str) -> float:
    """How many updates a histogram of the processor has counted."""
    return REGISTRY.get_sample_value(f"stockwatch_processor_{name}_seconds_count") or 0.0


def pending_by_worker(running: RunningProcessor) -> dict[int, int]:
    """The pending updates of each worker that has any."""
    return running.processor._progress.stalled(-1.0, 0.0)


def stalled_workers() -> float | None:
    return REGISTRY.get_sample_value("stockwatch_processor_workers_held")


def test_an_unfinished_write_of_a_revoked_partition_is_repeated_by_the_next_owner(
    run: Run, produce: Produce, publications: Publications, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "DRAIN_SECONDS", 0.1)
    writer = UnavailableWriter()
    produce(*make_updates(50))
    with capture_logs() as lines:
        first = run(workers=1, writer=lambda: writer)
        wait_until(lambda: writer.calls)
        second = run()
        wait_until(lambda: any("unfinished writes" in line["event"] for line in lines))
        kept = wait_until(lambda: set(first.processor._consumer.assigned))
        wait_until(lambda: set(second.processor._consumer.assigned) == {0, 1, 2, 3} - kept)
        kept_symbols = {symbol for symbol in SYMBOLS if murmur2(symbol.encode(), 4) in kept}
        revoked_symbols = set(SYMBOLS) - kept_symbols
        wait_until(lambda: publications.count() == 50 * len(revoked_symbols))
        writer.available.set()
        wait_until(lambda: writer.written)
        monkeypatch.setattr(loop, "DRAIN_SECONDS", 3.0)
        assert first.stop() is True

    # The first owner wrote the symbols that it kept, and nothing else.
    assert set(publications.by_symbol) == revoked_symbols
    assert writer.written == kept_symbols
    assert second.stop() is True
