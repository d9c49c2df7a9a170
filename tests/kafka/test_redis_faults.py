import signal
from time import monotonic

import pytest

from feeds.wire import stock_key
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.kafka.traffic import SYMBOLS, Feed
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture
def traffic(pipeline: Pipeline) -> tuple[Feed, Program]:
    """A feed and a processor that publish prices."""
    pipeline.create_topic()
    feed = pipeline.feed()
    processor = pipeline.processor()
    feed.start(rate=1_000)
    wait_until(lambda: pipeline.listener.count > 500, 60, "prices")
    return feed, processor


def test_a_pause_of_redis_for_10_seconds_loses_repeats_and_reorders_nothing(
    pipeline: Pipeline, traffic: tuple[Feed, Program]
):
    feed, processor = traffic
    end = monotonic() + 10
    pipeline.redis.process.send_signal(signal.SIGSTOP)
    processor.wait_for_log("Redis unavailable")
    wait_until(lambda: monotonic() > end, 11)
    pipeline.redis.process.send_signal(signal.SIGCONT)
    processor.wait_for_log("Redis available again")
    feed.finish()

    report = pipeline.settle()
    assert report.due == feed.acked
    assert report.faults == {}
    assert processor.metric("stockwatch_processor_retries_total") > 0


def test_an_empty_redis_after_a_kill_is_filled_by_the_next_updates(pipeline: Pipeline, traffic: tuple[Feed, Program]):
    feed, processor = traffic
    for count in (1, 2, 3):
        pipeline.kill_redis()
        wait_until(
            lambda count=count: len(processor.logged("Redis unavailable")) == count, 60, "a log line about the outage"
        )
        pipeline.start_redis()
        wait_until(
            lambda count=count: len(processor.logged("Redis available again")) == count, 60, "a log line about its end"
        )
        before = pipeline.listener.count
        wait_until(lambda before=before: pipeline.listener.count > before + 500, 60, "prices on the new Redis")
    feed.finish()

    report = pipeline.settle()
    assert report.faults == {}
    # The listener reconnects after the processor, so the processor's metric shows that each update was written.
    wait_until(
        lambda: processor.metric("stockwatch_processor_written_total") == report.due, 30, "the count of written updates"
    )
    assert pipeline.client.mget([stock_key(symbol) for symbol in SYMBOLS]).count(None) == 0


def test_redis_without_memory_is_logged_and_counted_and_nothing_is_lost(
    pipeline: Pipeline, traffic: tuple[Feed, Program]
):
    feed, processor = traffic
    pipeline.client.config_set("maxmemory", "1")
    logged = processor.wait_for_log("Redis unavailable")
    before = processor.metric("stockwatch_processor_retries_total")
    wait_until(lambda: processor.metric("stockwatch_processor_retries_total") > before, 60, "counted retries")
    pipeline.client.config_set("maxmemory", "0")
    processor.wait_for_log("Redis available again")
    feed.finish()

    assert "OutOfMemory" in logged["reason"]
    report = pipeline.settle()
    assert report.due == feed.acked
    assert report.faults == {}
