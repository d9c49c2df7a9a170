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
def flow(line: Pipeline) -> tuple[Feed, Program]:
    """A feed and a processor, with prices flowing."""
    line.make_topic()
    feed = line.feed()
    processor = line.processor()
    feed.start(rate=1_000)
    wait_until(lambda: line.ear.count > 500, 60, "prices")
    return feed, processor


def test_redis_paused_for_10_seconds_loses_repeats_and_reorders_nothing(line: Pipeline, flow: tuple[Feed, Program]):
    feed, processor = flow
    over = monotonic() + 10
    line.redis.process.send_signal(signal.SIGSTOP)
    processor.await_said("Redis is away")
    wait_until(lambda: monotonic() > over, 11)
    line.redis.process.send_signal(signal.SIGCONT)
    processor.await_said("Redis is back")
    feed.end()

    report = line.settle()
    assert report.due == feed.acked
    assert report.faults == {}
    assert processor.counted("stockwatch_processor_retries_total") > 0


def test_redis_killed_and_back_empty_is_filled_by_the_next_updates(line: Pipeline, flow: tuple[Feed, Program]):
    feed, processor = flow
    for time in (1, 2, 3):
        line.kill_redis()
        wait_until(lambda time=time: len(processor.said("Redis is away")) == time, 60, "a line that Redis is away")
        line.start_redis()
        wait_until(lambda time=time: len(processor.said("Redis is back")) == time, 60, "a line that Redis is back")
        before = line.ear.count
        wait_until(lambda before=before: line.ear.count > before + 500, 60, "prices on the new Redis")
    feed.end()

    report = line.settle()
    assert report.faults == {}
    # Some was published before we listened again: that each update was written is known from the processor's own count.
    wait_until(lambda: processor.counted("stockwatch_processor_written_total") == report.due, 30, "all of them written")
    assert line.client.mget([stock_key(symbol) for symbol in SYMBOLS]).count(None) == 0


def test_redis_out_of_memory_is_said_and_counted_and_nothing_is_lost(line: Pipeline, flow: tuple[Feed, Program]):
    feed, processor = flow
    line.client.config_set("maxmemory", "1")
    said = processor.await_said("Redis is away")
    before = processor.counted("stockwatch_processor_retries_total")
    wait_until(lambda: processor.counted("stockwatch_processor_retries_total") > before, 60, "counted retries")
    line.client.config_set("maxmemory", "0")
    processor.await_said("Redis is back")
    feed.end()

    assert "OutOfMemory" in said["reason"]
    report = line.settle()
    assert report.due == feed.acked
    assert report.faults == {}
