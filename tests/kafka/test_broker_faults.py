from random import Random
from time import monotonic

import pytest

from tests.support.kafka.flow import await_flow, expect_no_loss, finish
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka

OFFSETS_TOPIC = "__consumer_offsets"
Programs = tuple[Program, Program]


@pytest.fixture
def programs(pipeline: Pipeline) -> Programs:
    """A generator and a processor that publish prices."""
    processor = pipeline.processor()
    generator = pipeline.generator(GENERATOR_INTERVAL="20ms")
    wait_until(lambda: pipeline.listener.count > 20, 60, "prices")
    pipeline.brokers.await_in_sync(pipeline.topic, OFFSETS_TOPIC)
    return generator, processor


def test_five_kills_of_a_partition_leader_lose_nothing(pipeline: Pipeline, programs: Programs, rng: Random):
    for _ in range(5):
        leader = pipeline.brokers.leader(pipeline.topic, rng.randrange(4))
        pipeline.brokers.nodes[leader - 1].kill()
        await_flow(pipeline)
        pipeline.brokers.nodes[leader - 1].start()
        pipeline.brokers.await_in_sync(pipeline.topic, OFFSETS_TOPIC)
    await_flow(pipeline)
    expect_no_loss(pipeline, programs)


def test_an_outage_of_two_brokers_is_logged_and_no_acknowledged_update_is_lost(
    pipeline: Pipeline, programs: Programs, rng: Random
):
    generator, processor = programs
    killed = rng.sample(pipeline.brokers.nodes, 2)
    for node in killed:
        node.kill()
    for program in (processor, generator):
        program.wait_for_log("Kafka unavailable", 60)
    before = generator.metric("stockwatch_generator_delivered_total")
    for node in killed:
        node.start()
    wait_until(lambda: generator.metric("stockwatch_generator_delivered_total") > before, 90, "acknowledgements")
    await_flow(pipeline)
    count = finish(pipeline, generator)

    report = pipeline.settle()
    assert report.due == count
    assert report.faults == {}
    for program in programs:
        assert program.logged("Kafka available again")
    assert processor.stop() == 0


def test_a_pause_of_a_broker_for_30_seconds_loses_nothing_and_does_not_stop_the_prices(
    pipeline: Pipeline, programs: Programs, rng: Random
):
    leader = pipeline.brokers.leader(pipeline.topic, rng.randrange(4))
    node = pipeline.brokers.nodes[leader - 1]
    end = monotonic() + 30
    node.pause()
    await_flow(pipeline)
    print(f"all symbols have new prices after {30 - (end - monotonic()):.1f} s")
    wait_until(lambda: monotonic() > end, 31)
    node.resume()
    pipeline.brokers.await_in_sync(pipeline.topic, OFFSETS_TOPIC)
    await_flow(pipeline)
    expect_no_loss(pipeline, programs)
