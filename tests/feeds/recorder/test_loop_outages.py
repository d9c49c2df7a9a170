from collections.abc import MutableMapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection
from structlog.testing import capture_logs

from feeds.bar_layout import MINUTES
from feeds.models import MinuteBar
from feeds.recorder import loop, schedule
from feeds.recorder.symbol_bars import MINUTE_US
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.full_disk import accept_writes, full_disk, redis_with_snapshots, refuse_writes
from tests.support.kafka.fixtures import Produce, committed
from tests.support.recording.recorder import (
    NOON,
    SYMBOLS,
    RecorderFactory,
    StopWhen,
    expected_minutes,
    make_feed,
    read_ring,
    stored_minutes,
)

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, LAST = NOON // MINUTE_US, NOON // MINUTE_US + 59
"""The minutes of a feed of one hour."""


def outages(lines: Sequence[MutableMapping[str, Any]], service: str) -> list[MutableMapping[str, Any]]:
    """Returns the log lines that say that a service is unavailable."""
    return [line for line in lines if line["event"] == f"{service} unavailable"]


def test_a_redis_that_was_killed_and_starts_empty_gets_its_minutes_back_and_no_update_is_lost(
    kafka: str, topic: str, produce: Produce, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "MAX_NEW_BARS", 200)
    monkeypatch.setattr(schedule, "WRITE_EVERY_SECONDS", 0.05)
    updates = make_feed(60)
    early, rest = updates[:900], updates[900:]
    with RedisServer() as server, capture_logs() as lines:
        factory = RecorderFactory(kafka, topic, server)
        client = redis.Redis(host=server.host, port=server.port, protocol=2)
        produce(*early)
        factory.run_until_read(len(early))
        recorder = factory.make_recorder()

        def kill_redis() -> bool:
            if ready := bool(recorder._open_bars.by_symbol):
                server.kill()
                produce(*rest[5:])
            return ready

        def start_redis() -> bool:
            if ready := recorder._paused:
                server.start()
            return ready

        def is_restored() -> bool:
            rings = (read_ring(client, MINUTES, symbol, FIRST, LAST) for symbol in SYMBOLS)
            return factory.source.records_read >= len(rest) and all(len(ring) == 60 for ring in rings)

        produce(*rest[:5])
        steps = [kill_redis, start_redis, is_restored]
        assert recorder.run(StopWhen(lambda: steps[0]() and steps.pop(0) and not steps)) is True
        assert stored_minutes() == expected_minutes(updates)
        for symbol in SYMBOLS:
            minutes = {key[1]: row[:5] for key, row in expected_minutes(updates).items() if key[0] == symbol}
            assert read_ring(client, MINUTES, symbol, FIRST, LAST) == minutes
        client.close()
    levels = [line["log_level"] for line in lines if line["event"].startswith(("Redis unavailable", "Redis available"))]
    assert levels == ["warning", "info"]


def test_during_an_outage_of_the_database_nothing_is_committed_and_no_update_is_lost(
    factory: RecorderFactory, produce: Produce
):
    updates = make_feed(5)
    produce(*updates)
    recorder = factory.make_recorder()
    with connection.cursor() as cursor, capture_logs() as lines:
        cursor.execute("ALTER TABLE feeds_minutebar RENAME TO elsewhere")
        try:
            assert recorder.run(StopWhen(lambda: recorder._paused)) is False
        finally:
            connection.cursor().execute("ALTER TABLE elsewhere RENAME TO feeds_minutebar")
    assert committed(factory.kafka, factory.topic, factory.group) == 0
    assert [line["log_level"] for line in lines if line["event"].startswith("database unavailable")] == ["warning"]
    factory.run_until_read(len(updates))
    assert stored_minutes() == expected_minutes(updates)


def test_on_a_full_disk_the_recorder_names_it_and_saves_all_bars_when_there_is_space(
    factory: RecorderFactory, produce: Produce
):
    updates = make_feed(60)
    produce(*updates)
    recorder = factory.make_recorder()
    with ExitStack() as disk, capture_logs() as lines:
        disk.enter_context(full_disk("feeds_minutebar"))

        def free_space_and_end() -> bool:
            if factory.source.records_read < len(updates) or not outages(lines, "database writes"):
                recorder._schedule.save_soon()
                return False
            disk.close()
            return True

        assert recorder.run(StopWhen(free_space_and_end)) is True

    assert len(outages(lines, "database writes")) == 1
    assert "free space on the disk of the database" in outages(lines, "database writes")[0]["reason"]
    assert any(line["event"] == "database writes available again" for line in lines)
    assert stored_minutes() == expected_minutes(updates)
    assert committed(factory.kafka, factory.topic, factory.group) == len(updates)


def test_a_redis_whose_disk_is_full_is_named_and_gets_all_bars_when_it_takes_writes(
    kafka: str, topic: str, produce: Produce, tmp_path: Path
):
    updates = make_feed(5)
    produce(*updates)
    folder = tmp_path / "data"
    with redis_with_snapshots(folder) as (server, client), capture_logs() as lines:
        factory = RecorderFactory(kafka, topic, server)
        recorder = factory.make_recorder()
        refuse_writes(client, folder)

        def accept_and_end() -> bool:
            if factory.source.records_read < len(updates) or not outages(lines, "Redis"):
                return False
            accept_writes(client)
            return True

        assert recorder.run(StopWhen(accept_and_end)) is True
        rings = [read_ring(client, MINUTES, symbol, FIRST, LAST) for symbol in SYMBOLS]
    assert ["MISCONF" in line["reason"] for line in outages(lines, "Redis")] == [True]
    assert stored_minutes() == expected_minutes(updates)
    assert [len(ring) for ring in rings] == [5] * len(SYMBOLS)


def test_without_a_broker_the_recorder_logs_one_warning_and_waits_until_it_is_stopped(
    factory: RecorderFactory, topic: str
):
    factory.kafka = f"127.0.0.1:{free_port()}"
    with capture_logs() as lines:
        recorder = factory.make_recorder()
        recorder._source._topic._timeout = 0.1
        stop = StopWhen(lambda: any(line["event"].startswith("Kafka unavailable") for line in lines))
        assert recorder.run(stop) is True
    assert len([line for line in lines if line["log_level"] == "warning"]) == 1


def test_bars_of_lost_partitions_are_dropped_unsaved(factory: RecorderFactory, produce: Produce):
    updates = make_feed(1)
    produce(*updates)
    recorder = factory.make_recorder()

    def lose_partitions_when_all_is_read() -> bool:
        if all_read := sum(recorder._unsaved_offsets.values()) == len(updates):
            recorder._on_lost([0, 1, 2, 3])
        return all_read

    recorder.run(StopWhen(lose_partitions_when_all_is_read))
    assert recorder._open_bars.by_symbol == {}
    assert MinuteBar.objects.count() == 0
    assert committed(factory.kafka, factory.topic, factory.group) == 0
