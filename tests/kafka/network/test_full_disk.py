"""The disk of one of three brokers is full. `make test-network` runs this test."""

import pytest

from tests.support.kafka.broker_alarms import diagnose_kafka
from tests.support.kafka.flow import await_flow, await_missing, expect_no_loss, expect_recorded
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.network

MISSING = "a partition has 2 of 3 replicas in sync"


def test_a_broker_with_a_full_disk_ends_and_prices_flow_on(
    pipeline: Pipeline, programs: tuple[Program, Program], recorder: Program, leader: int
):
    broker = pipeline.brokers.nodes[leader - 1]
    broker.place.fill_disk()
    wait_until(lambda: not broker.running, 60, "the end of the broker")
    output = broker.output.read_text()
    assert "No space left on device" in output
    assert "Shutdown broker because all log dirs" in output
    await_flow(pipeline)
    wait_until(lambda: MISSING in diagnose_kafka(pipeline, "warn"), 60, "the doctor's finding")
    await_missing(programs[1], 1)

    broker.place.free_disk()
    broker.start()
    pipeline.brokers.await_in_sync(pipeline.topic, "__consumer_offsets")
    await_flow(pipeline)
    assert MISSING not in diagnose_kafka(pipeline, "warn")
    await_missing(programs[1], 0)
    count = expect_no_loss(pipeline, programs)
    expect_recorded(pipeline, recorder, count)
