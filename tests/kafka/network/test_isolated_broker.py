"""One of three brokers loses its connections for 30 s. `make test-network` runs these tests."""

from time import monotonic

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.support.kafka.broker_alarms import diagnose_kafka
from tests.support.kafka.connections import Connections, active_controller
from tests.support.kafka.flow import await_flow, await_missing, expect_no_loss, expect_recorded
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.network

SECONDS = 30
MISSING = "a partition has 2 of 3 replicas in sync"
Programs = tuple[Program, Program]


def expect_alarm(pipeline: Pipeline, level: str, text: str) -> None:
    """Waits until the doctor names the fault."""
    wait_until(lambda: text in diagnose_kafka(pipeline, level), 60, f"the finding {text!r}")


def mend(pipeline: Pipeline, connections: Connections, *programs: Program) -> None:
    """Mends all connections and waits until all replicas are in sync, prices flow and the programs are ready."""
    connections.mend()
    pipeline.brokers.await_in_sync(pipeline.topic, "__consumer_offsets")
    await_flow(pipeline)
    for program in programs:
        wait_until(lambda program=program: program.readiness()[0] == 200, 60, f"{program.command} ready")
    assert MISSING not in diagnose_kafka(pipeline, "warn")


@pytest.mark.parametrize("which", ["leader of a partition", "active controller"])
def test_prices_flow_on_while_a_broker_reaches_neither_brokers_nor_clients(
    pipeline: Pipeline, programs: Programs, recorder: Program, connections: Connections, leader: int, which: str
):
    chosen = leader if which.startswith("leader") else active_controller(pipeline.brokers.nodes[0])
    begun = monotonic()
    connections.cut(pipeline.brokers.nodes[chosen - 1], clients_too=True)
    await_flow(pipeline)
    print(f"each symbol has a new price after {monotonic() - begun:.1f} s")
    expect_alarm(pipeline, "warn", MISSING)
    await_missing(programs[1], 1)
    wait_until(lambda: monotonic() > begun + SECONDS, SECONDS + 1)
    await_flow(pipeline)
    mend(pipeline, connections, *programs, recorder)
    await_missing(programs[1], 0)

    count = expect_no_loss(pipeline, programs)
    expect_recorded(pipeline, recorder, count)


def test_a_broker_that_only_clients_reach_loses_no_acknowledged_update(
    pipeline: Pipeline, programs: Programs, recorder: Program, connections: Connections, leader: int
):
    begun = monotonic()
    connections.cut(pipeline.brokers.nodes[leader - 1], clients_too=False)
    expect_alarm(pipeline, "warn", MISSING)
    wait_until(lambda: monotonic() > begun + SECONDS, SECONDS + 1)
    for program in (*programs, recorder):
        print(program.command, program.readiness(), [line.get("reason") for line in program.logged("unavailable")])
    mend(pipeline, connections, *programs, recorder)
    print(f"all programs are ready after {monotonic() - begun:.1f} s")

    count = expect_no_loss(pipeline, programs)
    expect_recorded(pipeline, recorder, count)


def test_a_generator_without_enough_replicas_is_not_ready_and_continues_afterwards(
    pipeline: Pipeline, programs: Programs, recorder: Program, connections: Connections, leader: int
):
    generator, _processor = programs
    require_replicas(pipeline, 3)
    connections.cut(pipeline.brokers.nodes[leader - 1], clients_too=True)
    line = generator.wait_for_log("Kafka unavailable")
    assert "too few brokers or replicas may be left" in line["reason"]
    status, body = generator.readiness()
    assert (status, body["status"], body["down"]) == (503, "not ready", ["kafka"])
    expect_alarm(pipeline, "fail", "all writes are refused now")
    mend(pipeline, connections, *programs, recorder)
    assert generator.logged("Kafka available again")

    count = expect_no_loss(pipeline, programs)
    expect_recorded(pipeline, recorder, count)


def require_replicas(pipeline: Pipeline, count: int) -> None:
    """Sets `min.insync.replicas` of the topic."""
    change = ConfigEntry("min.insync.replicas", str(count), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, pipeline.topic, incremental_configs=[change])
    pipeline.brokers.admin.incremental_alter_configs([resource])[resource].result(60)
