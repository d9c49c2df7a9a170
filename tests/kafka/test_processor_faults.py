import signal
from random import Random
from time import monotonic

import pytest

from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.kafka.traffic import SYMBOLS
from tests.support.proxies.redis_proxy import RedisProxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka

EXIT_CODES = (0, -signal.SIGTERM)
"""Of a processor that got SIGTERM; the signal itself if it had not started yet."""

KILLS = 50
CHURN_SECONDS = 120.0
"""How long processors join and leave."""


def test_fifty_kills_within_batches_lose_nothing(pipeline: Pipeline, rng: Random):
    pipeline.create_topic()
    feed = pipeline.feed()
    for _ in range(KILLS):
        # More than is processed before the kill, so that the kill interrupts a batch.
        while feed.sent - pipeline.listener.count < 8_000:
            feed.send_rounds(100)
        program = pipeline.processor("one")
        enough = pipeline.listener.count + rng.randint(1, 4_000)
        wait_until(lambda enough=enough: pipeline.listener.count >= enough, 60, "some more updates")
        program.kill()
    pipeline.processor("one")
    feed.send_rounds()
    feed.finish()

    report = pipeline.settle()
    assert report.due == feed.acked == report.published
    assert report.faults == {}


def test_a_death_between_a_write_and_its_commit_repeats_updates_and_loses_none(pipeline: Pipeline):
    pipeline.create_topic()
    feed = pipeline.feed()
    feed.send_rounds(300)
    feed.finish()
    killed = pipeline.run("tests/kafka/processors/dies_before_commit.py", KAFKA_GROUP_INSTANCE_ID="one")
    assert killed.await_end() == 70
    successor = pipeline.processor("one")
    feed.send_rounds()
    feed.finish()

    report = pipeline.settle()
    print(report, f"repeated {successor.metric('stockwatch_processor_stale_total'):g}")
    assert report.due == feed.acked == report.published
    assert report.faults == {}
    assert successor.metric("stockwatch_processor_stale_total") > 0, "the updates of the last write are read again"


def test_two_minutes_of_joining_and_leaving_lose_reorder_and_repeat_nothing(pipeline: Pipeline, rng: Random):
    pipeline.create_topic()
    feed = pipeline.feed(symbols=[f"S{number}" for number in range(50)])
    running: list[Program | None] = [pipeline.processor(), None, None, None, None]
    running[0].wait_for_log("partitions assigned")
    feed.start(rate=1_000)
    end = monotonic() + CHURN_SECONDS
    changes = 0
    while monotonic() < end:
        slot = rng.randrange(5)
        program = running[slot]
        if program is None:
            running[slot] = pipeline.processor()
        elif sum(each is not None for each in running) > 1:
            running[slot] = None
            assert program.stop() in EXIT_CODES
        # Often less time than a rebalance takes, sometimes enough for it to end.
        before, count = pipeline.listener.count, rng.choice((0, 500, 3_000))
        wait_until(
            lambda before=before, count=count: pipeline.listener.count >= before + count, 60, "some more updates"
        )
        changes += 1
    feed.finish()

    report = pipeline.settle()
    print(f"{changes} changes")
    assert report.due == feed.acked
    assert report.faults == {}
    assert {each.stop() for each in running if each is not None} <= set(EXIT_CODES)


def test_a_processor_paused_past_its_session_writes_nothing_stale(pipeline: Pipeline, redis_proxy: RedisProxy):
    pipeline.create_topic()
    feed = pipeline.feed()
    feed.send_rounds(10)
    frozen, other = pipeline.processor(REDIS_ADDR=redis_proxy.address), pipeline.processor()
    for each in (frozen, other):
        wait_until(lambda each=each: each.logged("partitions assigned"), 60, "an assignment")
    wait_until(lambda: pipeline.listener.count == 10 * len(SYMBOLS), 60)
    # The frozen processor has a write in progress, and more records that it has not written.
    redis_proxy.hold()
    feed.send_rounds(300)
    assert redis_proxy.holding.wait(60), "the frozen processor writes"
    stale = frozen.metric("stockwatch_processor_stale_total")
    frozen.pause()
    feed.send_rounds(10)
    feed.finish()
    wait_until(lambda: pipeline.committed() == feed.acked, 90, "a commit of all records by the other processor")
    feed.send_rounds(10)
    redis_proxy.release()
    frozen.resume()
    frozen.wait_for_log("partitions lost")
    feed.send_rounds(10)
    feed.finish()

    report = pipeline.settle()
    assert report.due == feed.acked
    assert report.faults == {}
    wait_until(lambda: frozen.metric("stockwatch_processor_stale_total") > stale, 30, "its late batch counted as stale")


def test_a_stalled_worker_keeps_its_partitions_and_is_logged(pipeline: Pipeline):
    pipeline.create_topic()
    feed = pipeline.feed()
    processor = pipeline.run("tests/kafka/processors/hangs.py", KAFKA_SESSION_TIMEOUT="6s", PROCESSOR_NUM_WORKERS="10")
    feed.start(rate=100)
    logged = processor.wait_for_log("worker stalled")
    # Longer than the session and max.poll.interval.ms, both 6 s: the others continue, and no member is removed.
    end = monotonic() + 9
    wait_until(lambda: monotonic() > end, 10)
    before = dict(pipeline.listener.newest)
    assert "AAPL" not in before
    wait_until(
        lambda: all(pipeline.listener.newest[each].order > before[each].order for each in before), 30, "new prices"
    )
    assert processor.metric("stockwatch_processor_workers_held") == 1
    processor.process.send_signal(signal.SIGUSR1)
    processor.wait_for_log("worker resumed")
    feed.finish()

    report = pipeline.settle()
    assert report.due == feed.acked
    assert report.faults == {}
    assert logged["level"] == "warning"
    assert len(processor.logged("partitions assigned")) == 1
    assert processor.logged("partitions lost") == processor.logged("partitions revoked") == []
    assert processor.stop() == 0
