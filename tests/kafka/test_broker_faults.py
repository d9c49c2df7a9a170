from random import Random
from time import monotonic

import pytest

from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka

OFFSETS = "__consumer_offsets"
Pair = tuple[Program, Program]


@pytest.fixture
def pair(line: Pipeline) -> Pair:
    """Generator and processor, with prices flowing."""
    processor = line.processor()
    generator = line.generator(GENERATOR_INTERVAL="20ms")
    wait_until(lambda: line.ear.count > 20, 60, "prices")
    line.brokers.await_in_sync(line.topic, OFFSETS)
    return generator, processor


def await_flow(line: Pipeline, seconds: float = 90.0) -> None:
    """Returns when each symbol has new prices."""
    before = dict(line.ear.newest)

    def flows() -> bool:
        return all(line.ear.newest[symbol].order > update.order for symbol, update in before.items())

    wait_until(flows, seconds, "new prices of each symbol")


def end(line: Pipeline, generator: Program) -> int:
    """Ends the generator, which says that all was delivered; books the log, which must hold that. How many updates."""
    assert generator.stop() == 0
    report = generator.said("delivered")[-1]
    assert report["missing"] == 0
    count = line.read_log()
    assert count == report["delivered"]
    return count


def test_the_leader_of_a_partition_killed_five_times_loses_nothing(line: Pipeline, pair: Pair, chance: Random):
    generator, processor = pair
    for _ in range(5):
        leader = line.brokers.leader(line.topic, chance.randrange(4))
        line.brokers.nodes[leader - 1].kill()
        await_flow(line)
        line.brokers.nodes[leader - 1].start()
        line.brokers.await_in_sync(line.topic, OFFSETS)
    await_flow(line)
    count = end(line, generator)

    report = line.settle()
    assert report.due == count
    assert report.faults == {}
    assert processor.stop() == 0


def test_two_of_three_brokers_dead_is_said_and_nothing_acknowledged_is_lost(line: Pipeline, pair: Pair, chance: Random):
    generator, processor = pair
    dead = chance.sample(line.brokers.nodes, 2)
    for node in dead:
        node.kill()
    for program in (processor, generator):
        program.await_said("Kafka is away", 60)
    before = generator.counted("stockwatch_generator_delivered_total")
    for node in dead:
        node.start()
    wait_until(lambda: generator.counted("stockwatch_generator_delivered_total") > before, 90, "acknowledgements")
    await_flow(line)
    count = end(line, generator)

    report = line.settle()
    assert report.due == count
    assert report.faults == {}
    for program in pair:
        assert program.said("Kafka is back")
    assert processor.stop() == 0


def test_a_broker_paused_for_30_seconds_loses_nothing_and_does_not_stop_the_prices(
    line: Pipeline, pair: Pair, chance: Random
):
    generator, processor = pair
    leader = line.brokers.leader(line.topic, chance.randrange(4))
    node = line.brokers.nodes[leader - 1]
    over = monotonic() + 30
    node.pause()
    await_flow(line)
    print(f"prices of every symbol flow again after {30 - (over - monotonic()):.1f} s")
    wait_until(lambda: monotonic() > over, 31)
    node.proceed()
    line.brokers.await_in_sync(line.topic, OFFSETS)
    await_flow(line)
    count = end(line, generator)

    report = line.settle()
    assert report.due == count
    assert report.faults == {}
    assert processor.stop() == 0
