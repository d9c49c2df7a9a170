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


def series(line: Pipeline) -> dict[str, list[Update]]:
    """Each symbol's updates as the log has them."""
    found: dict[str, list[Update]] = {}
    for update, _offset in read_log(line.brokers.addresses, line.topic):
        found.setdefault(update.symbol, []).append(update)
    return found


def assert_unbroken(line: Pipeline) -> None:
    """No number is missing or there twice, and no time goes back."""
    found = series(line)
    assert found
    for updates in found.values():
        assert all(second.seq_id == first.seq_id + 1 for first, second in pairwise(updates))
        assert all(second.timestamp > first.timestamp for first, second in pairwise(updates))


def await_more(line: Pipeline, count: int = 100) -> None:
    before = line.ear.count
    wait_until(lambda: line.ear.count > before + count, 60, "more prices")


def test_a_generator_that_is_killed_and_started_again_continues_each_symbol(line: Pipeline, chance: Random):
    line.processor()
    for _ in range(5):
        generator = line.generator(GENERATOR_INTERVAL=FAST)
        await_more(line, chance.randint(1, 200))
        generator.kill()
    generator = line.generator(GENERATOR_INTERVAL=FAST)
    assert generator.await_said("generator ready")["continued"] == 4
    await_more(line)
    assert generator.stop() == 0

    line.read_log()
    assert line.settle().faults == {}
    assert_unbroken(line)


def test_our_clock_an_hour_back_makes_no_gap(line: Pipeline):
    line.processor()
    generator = line.run("tests/kafka/processors/clock_set_back.py", GENERATOR_INTERVAL=FAST)
    await_more(line)
    generator.process.send_signal(signal.SIGUSR1)
    await_more(line, 400)
    assert generator.stop() == 0
    newest = max(update.timestamp for updates in series(line).values() for update in updates)

    line.read_log()
    assert line.settle().faults == {}
    assert_unbroken(line)
    # A restart goes on from there too, though its clock is an hour behind.
    again = line.run("tests/kafka/processors/clock_set_back.py", "back", GENERATOR_INTERVAL=FAST)
    await_more(line)
    assert again.stop() == 0
    line.read_log()
    assert line.settle().faults == {}
    assert_unbroken(line)
    assert line.ear.newest["AAPL"].timestamp > newest


def test_a_foreign_generator_that_starts_again_at_one_is_followed_from_its_first_update(line: Pipeline):
    line.make_topic()
    line.processor()
    feed = line.feed()
    feed.send(500)
    wait_until(lambda: line.ear.count == 500 * len(SYMBOLS), 60, "all prices")
    feed.number = 0
    begun = monotonic()
    feed.send(1)
    wait_until(lambda: all(line.ear.newest[symbol].seq_id == 1 for symbol in SYMBOLS), 60, "number 1 again")
    print(f"followed within {1000 * (monotonic() - begun):.0f} ms")
    feed.send(100)
    feed.end()

    report = line.settle()
    assert report.due == feed.acked
    assert report.faults == {}


def test_a_foreign_clock_set_back_is_dropped_until_it_catches_up_and_is_counted(line: Pipeline):
    line.make_topic()
    processor = line.processor()
    feed = line.feed()
    feed.send(100)
    wait_until(lambda: line.ear.count == 100 * len(SYMBOLS), 60, "all prices")
    now = time_ns() // 1000
    for number in range(200):
        # 20 s apart: the last twenty are ahead of what was published before.
        for symbol in SYMBOLS:
            feed.put(Update(symbol, 1.5, now - HOUR + number * 20_000_000, 101 + number))
    feed.end()

    report = line.settle()
    behind = sum(now - HOUR + number * 20_000_000 < now for number in range(200)) * len(SYMBOLS)
    assert report.due == feed.acked - behind == report.published
    assert report.faults == {}
    wait_until(lambda: processor.counted("stockwatch_processor_stale_total") == behind, 30, "all of them counted")


def test_a_second_generator_of_the_same_topic_says_so_and_exits(line: Pipeline):
    line.processor()
    first = line.generator(GENERATOR_INTERVAL=FAST)
    await_more(line)
    second = line.generator(GENERATOR_INTERVAL=FAST)
    assert second.await_end() == 1
    assert second.said("another generator feeds")
    await_more(line)
    assert first.stop() == 0

    line.read_log()
    assert line.settle().faults == {}
    assert_unbroken(line)
