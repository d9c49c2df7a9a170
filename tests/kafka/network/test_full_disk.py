"""The disk of one of three brokers is full. `make test-network` runs this test."""

from time import monotonic

import pytest

from tests.support.kafka.broker_alarms import await_alert, await_no_alert, diagnose_kafka
from tests.support.kafka.flow import await_flow, await_missing, expect_no_loss, expect_recorded
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.monitoring.prometheus import Prometheus
from tests.support.waiting import wait_until

pytestmark = pytest.mark.network

MISSING = "a partition has 2 of 3 replicas in sync"


def test_a_broker_with_a_full_disk_ends_and_prices_flow_on(
    pipeline: Pipeline, programs: tuple[Program, Program], recorder: Program, prometheus: Prometheus, leader: int
):
    broker = pipeline.brokers.nodes[leader - 1]
    begun = monotonic()
    broker.place.fill_disk()
    wait_until(lambda: not broker.running, 60, "the end of the broker")
    output = broker.output.read_text()
    assert "No space left on device" in output
    assert "Shutdown broker because all log dirs" in output
    await_flow(pipeline)
    wait_until(lambda: MISSING in diagnose_kafka(pipeline, "warn"), 60, "the doctor's finding")
    await_missing(programs[1], 1)
    await_alert(prometheus, begun)

    broker.place.free_disk()
    broker.start()
    pipeline.brokers.await_in_sync(pipeline.topic, "__consumer_offsets")
    await_flow(pipeline)
    wait_until(lambda: MISSING not in diagnose_kafka(pipeline, "warn"), 60, "the end of the doctor's finding")
    await_missing(programs[1], 0)
    await_no_alert(prometheus)
    count = expect_no_loss(pipeline, programs)
    expect_recorded(pipeline, recorder, count)
