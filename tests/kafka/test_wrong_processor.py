"""The ledger must catch a processor that does it wrong: otherwise its silence about the right one proves nothing."""

import signal

import pytest

from tests.support.kafka.pipeline import Pipeline
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka


def test_a_processor_that_commits_before_it_writes_is_caught_losing_updates(line: Pipeline):
    line.make_topic()
    feed = line.feed()
    line.redis.process.send_signal(signal.SIGSTOP)
    hasty = line.run("tests/kafka/processors/commits_first.py")
    feed.send(200)
    feed.end()
    wait_until(lambda: line.committed() >= feed.acked, 60, "a commit before its time")
    hasty.kill()
    line.redis.process.send_signal(signal.SIGCONT)

    line.processor()
    feed.send()
    feed.end()
    report = line.settle()
    assert report.lost
    assert report.faults.keys() == {"lost"}


def test_the_right_processor_in_the_same_place_loses_nothing(line: Pipeline):
    line.make_topic()
    feed = line.feed()
    line.redis.process.send_signal(signal.SIGSTOP)
    killed = line.processor()
    feed.send(200)
    feed.end()
    killed.await_said("partitions assigned")
    killed.await_said("Redis is away")
    killed.kill()
    line.redis.process.send_signal(signal.SIGCONT)

    line.processor()
    feed.send()
    feed.end()
    assert line.settle().faults == {}
