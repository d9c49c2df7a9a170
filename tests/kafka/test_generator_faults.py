import signal
from itertools import pairwise
from random import Random
from time import monotonic, time_ns

import pytest

from feeds.wire import Update
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.traffic import SYMBOLS, read_log
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka

FAST = "20ms"
HOUR = 3_600_000_000


def read_by_symbol(pipeline: Pipeline) -> dict[str, list[Update]]:
    """Returns the updates of each symbol in the order of the log."""
    found: dict[str, list[Update]] = {}
    for update, _offset in read_log(pipeline.brokers.addresses, pipeline.topic):
        found.setdefault(update.symbol, []).append(update)
    return found


def assert_continuous(pipeline: Pipeline) -> None:
    """Asserts that seq_ids grow by one and that timestamps grow."""
    found = read_by_symbol(pipeline)
    assert found
    for updates in found.values():
        assert all(second.seq_id == first.seq_id + 1 for first, second in pairwise(updates))
        assert all(second.timestamp > first.timestamp for first, second in pairwise(updates))


def await_more(pipeline: Pipeline, count: int = 100) -> None:
    before = pipeline.listener.count
    wait_until(lambda: pipeline.listener.count > before + count, 60, "more prices")


def test_a_generator_continues_each_symbol_after_a_kill(pipeline: Pipeline, rng: Random):
    pipeline.processor()
    for _ in range(5):
        generator = pipeline.generator(GENERATOR_INTERVAL=FAST)
        await_more(pipeline, rng.randint(1, 200))
        generator.kill()
    generator = pipeline.generator(GENERATOR_INTERVAL=FAST)
    assert generator.wait_for_log("generator ready")["continued"] == 4
    await_more(pipeline)
    assert generator.stop() == 0

    pipeline.read_log()
    assert pipeline.settle().faults == {}
    assert_continuous(pipeline)


def test_a_system_clock_that_is_set_back_makes_no_gap(pipeline: Pipeline):
    pipeline.processor()
    generator = pipeline.run("tests/kafka/processors/clock_set_back.py", GENERATOR_INTERVAL=FAST)
    await_more(pipeline)
    generator.process.send_signal(signal.SIGUSR1)
    await_more(pipeline, 400)
    assert generator.stop() == 0
    newest = max(update.timestamp for updates in read_by_symbol(pipeline).values() for update in updates)

    pipeline.read_log()
    assert pipeline.settle().faults == {}
    assert_continuous(pipeline)
    # A restart continues too, although its clock is an hour behind.
    again = pipeline.run("tests/kafka/processors/clock_set_back.py", "back", GENERATOR_INTERVAL=FAST)
    await_more(pipeline)
    assert again.stop() == 0
    pipeline.read_log()
    assert pipeline.settle().faults == {}
    assert_continuous(pipeline)
    assert pipeline.listener.newest["AAPL"].timestamp > newest


def test_a_foreign_producer_may_restart_its_seq_ids(pipeline: Pipeline):
    pipeline.create_topic()
    pipeline.processor()
    feed = pipeline.feed()
    feed.send_rounds(500)
    wait_until(lambda: pipeline.listener.count == 500 * len(SYMBOLS), 60, "all prices")
    feed.number = 0
    started = monotonic()
    feed.send_rounds(1)
    wait_until(lambda: all(pipeline.listener.newest[symbol].seq_id == 1 for symbol in SYMBOLS), 60, "number 1 again")
    print(f"published within {1000 * (monotonic() - started):.0f} ms")
    feed.send_rounds(100)
    feed.finish()

    report = pipeline.settle()
    assert report.due == feed.acked
    assert report.faults == {}


def test_updates_of_a_foreign_clock_that_is_behind_are_stale_and_counted(pipeline: Pipeline):
    pipeline.create_topic()
    processor = pipeline.processor()
    feed = pipeline.feed()
    feed.send_rounds(100)
    wait_until(lambda: pipeline.listener.count == 100 * len(SYMBOLS), 60, "all prices")
    now = time_ns() // 1000
    for number in range(200):
        # 19 s apart: the last ten are newer than the published ones.
        for symbol in SYMBOLS:
            feed.send_update(Update(symbol, 1.5, now - HOUR + number * 19_000_000, 101 + number))
    feed.finish()

    report = pipeline.settle()
    stale = sum(now - HOUR + number * 19_000_000 < now for number in range(200)) * len(SYMBOLS)
    assert report.due == feed.acked - stale == report.published
    assert report.faults == {}
    wait_until(lambda: processor.metric("stockwatch_processor_stale_total") == stale, 30, "the count of stale updates")


def test_a_second_generator_of_a_topic_exits_with_an_error(pipeline: Pipeline):
    pipeline.processor()
    first = pipeline.generator(GENERATOR_INTERVAL=FAST)
    await_more(pipeline)
    second = pipeline.generator(GENERATOR_INTERVAL=FAST)
    assert second.await_end() == 1
    assert second.logged("another generator feeds")
    await_more(pipeline)
    assert first.stop() == 0

    pipeline.read_log()
    assert pipeline.settle().faults == {}
    assert_continuous(pipeline)
