"""Tests the test: the ledger must detect a processor that loses updates."""

import signal

import pytest

from tests.support.kafka.pipeline import Pipeline
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka


def test_a_processor_that_commits_before_it_writes_loses_updates(pipeline: Pipeline):
    pipeline.create_topic()
    feed = pipeline.feed()
    pipeline.redis.process.send_signal(signal.SIGSTOP)
    wrong = pipeline.run("tests/kafka/processors/commits_first.py")
    feed.send_rounds(200)
    feed.finish()
    wait_until(lambda: pipeline.committed() >= feed.acked, 60, "an early commit")
    wrong.kill()
    pipeline.redis.process.send_signal(signal.SIGCONT)

    pipeline.processor()
    feed.send_rounds()
    feed.finish()
    report = pipeline.settle()
    assert report.lost
    assert report.faults.keys() == {"lost"}


def test_the_real_processor_loses_nothing_in_the_same_situation(pipeline: Pipeline):
    pipeline.create_topic()
    feed = pipeline.feed()
    pipeline.redis.process.send_signal(signal.SIGSTOP)
    killed = pipeline.processor()
    feed.send_rounds(200)
    feed.finish()
    killed.wait_for_log("partitions assigned")
    killed.wait_for_log("Redis unavailable")
    killed.kill()
    pipeline.redis.process.send_signal(signal.SIGCONT)

    pipeline.processor()
    feed.send_rounds()
    feed.finish()
    assert pipeline.settle().faults == {}
