import signal
from random import Random
from time import monotonic

import pytest

from tests.support.kafka.gate import Gate
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.kafka.traffic import SYMBOLS
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka

EXITS = (0, -signal.SIGTERM)
"""Of a processor that is asked to go; the signal's own where it had not begun."""

KILLS = 50
TURMOIL = 120.0
"""Seconds in which processors come and go."""


def test_fifty_kills_in_the_midst_of_batches_lose_nothing(line: Pipeline, chance: Random):
    line.make_topic()
    feed = line.feed()
    for _ in range(KILLS):
        # Always more to do than is done before the kill, so that it comes in the midst of a batch.
        while feed.sent - line.ear.count < 8_000:
            feed.send(100)
        program = line.processor("one")
        enough = line.ear.count + chance.randint(1, 4_000)
        wait_until(lambda enough=enough: line.ear.count >= enough, 60, "some more updates")
        program.kill()
    line.processor("one")
    feed.send()
    feed.end()

    report = line.settle()
    assert report.due == feed.acked == report.published
    assert report.faults == {}


def test_processors_that_join_and_leave_for_two_minutes_lose_reorder_and_repeat_nothing(line: Pipeline, chance: Random):
    line.make_topic()
    feed = line.feed(symbols=[f"S{number}" for number in range(50)])
    running: list[Program | None] = [line.processor(), None, None, None, None]
    running[0].await_said("partitions assigned")
    feed.start(rate=1_000)
    over = monotonic() + TURMOIL
    changes = 0
    while monotonic() < over:
        place = chance.randrange(5)
        program = running[place]
        if program is None:
            running[place] = line.processor()
        elif sum(each is not None for each in running) > 1:
            running[place] = None
            assert program.stop() in EXITS
        # Time between changes: often less than a rebalance takes, sometimes long enough for one to end.
        before, few = line.ear.count, chance.choice((0, 500, 3_000))
        wait_until(lambda before=before, few=few: line.ear.count >= before + few, 60, "some more updates")
        changes += 1
    feed.end()

    report = line.settle()
    print(f"{changes} changes")
    assert report.due == feed.acked
    assert report.faults == {}
    assert {each.stop() for each in running if each is not None} <= set(EXITS)


def test_a_processor_that_was_stopped_past_its_session_writes_nothing_late(line: Pipeline, gate: Gate):
    line.make_topic()
    feed = line.feed()
    feed.send(10)
    frozen, other = line.processor(REDIS_ADDR=gate.address), line.processor()
    for each in (frozen, other):
        wait_until(lambda each=each: each.said("partitions assigned"), 60, "an assignment")
    wait_until(lambda: line.ear.count == 10 * len(SYMBOLS), 60)
    # A write of the frozen one is under way, and what it has read beside it is not written yet.
    gate.hold()
    feed.send(300)
    assert gate.holding.wait(60), "the frozen one writes"
    stale = frozen.counted("stockwatch_processor_stale_total")
    frozen.pause()
    feed.send(10)
    feed.end()
    wait_until(lambda: line.committed() == feed.acked, 90, "the other one has all partitions, and all is committed")
    feed.send(10)
    gate.release()
    frozen.proceed()
    frozen.await_said("partitions lost")
    feed.send(10)
    feed.end()

    report = line.settle()
    assert report.due == feed.acked
    assert report.faults == {}
    wait_until(
        lambda: frozen.counted("stockwatch_processor_stale_total") > stale, 30, "its late batch dropped as stale"
    )


def test_a_worker_that_is_held_alone_keeps_its_partitions_and_is_reported(line: Pipeline):
    line.make_topic()
    feed = line.feed()
    processor = line.run("tests/kafka/processors/hangs.py", KAFKA_SESSION_TIMEOUT="6s", PROCESSOR_NUM_WORKERS="10")
    feed.start(rate=100)
    said = processor.await_said("a worker has had the same updates")
    # Longer than the session and than max.poll.interval.ms, 6 s both: the others go on, and nobody is put out.
    over = monotonic() + 9
    wait_until(lambda: monotonic() > over, 10)
    before = dict(line.ear.newest)
    assert "AAPL" not in before
    wait_until(lambda: all(line.ear.newest[each].order > before[each].order for each in before), 30, "new prices")
    assert processor.counted("stockwatch_processor_workers_held") == 1
    processor.process.send_signal(signal.SIGUSR1)
    processor.await_said("a worker that was held goes on")
    feed.end()

    report = line.settle()
    assert report.due == feed.acked
    assert report.faults == {}
    assert said["level"] == "warning"
    assert len(processor.said("partitions assigned")) == 1
    assert processor.said("partitions lost") == processor.said("partitions revoked") == []
    assert processor.stop() == 0
