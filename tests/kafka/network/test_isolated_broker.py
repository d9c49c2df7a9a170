"""One of three brokers loses its connections for 30 s. `make test-network` runs these tests."""

from time import monotonic

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.support.kafka.broker_alarms import await_alert, await_no_alert, diagnose_kafka
from tests.support.kafka.connections import Connections, active_controller
from tests.support.kafka.flow import await_flow, await_missing, expect_no_loss, expect_recorded
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.monitoring.prometheus import Prometheus
from tests.support.waiting import wait_until

pytestmark = pytest.mark.network

SECONDS = 30
MISSING = "a partition has 2 of 3 replicas in sync"
Programs = tuple[Program, Program]


def expect_finding(pipeline: Pipeline, level: str, text: str, ask_all: bool = False) -> None:
    """Waits until the doctor names the fault."""
    wait_until(lambda: text in diagnose_kafka(pipeline, level, ask_all), 60, f"the finding {text!r}")


def await_replacement(pipeline: Pipeline, leader: int) -> None:
    """Waits until another broker leads each partition, as the brokers say that are not cut off."""
    wait_until(
        lambda: all(pipeline.brokers.leader(pipeline.topic, number) not in (0, leader) for number in range(4)),
        60,
        "other leaders",
    )


def mend(pipeline: Pipeline, connections: Connections, prometheus: Prometheus, *programs: Program) -> None:
    """Mends all connections and waits until prices flow, the programs are ready and no alarm is left."""
    connections.mend()
    pipeline.brokers.await_in_sync(pipeline.topic, "__consumer_offsets")
    await_flow(pipeline)
    for program in programs:
        wait_until(lambda program=program: program.readiness()[0] == 200, 60, f"{program.command} ready")
    wait_until(lambda: MISSING not in diagnose_kafka(pipeline, "warn"), 60, "the end of the doctor's finding")
    await_no_alert(prometheus)


@pytest.mark.parametrize("which", ["leader of a partition", "active controller"])
def test_prices_flow_on_while_a_broker_reaches_neither_brokers_nor_clients(
    pipeline: Pipeline,
    programs: Programs,
    recorder: Program,
    connections: Connections,
    prometheus: Prometheus,
    leader: int,
    which: str,
):
    chosen = leader if which.startswith("leader") else active_controller(pipeline.brokers.nodes[0])
    begun = monotonic()
    connections.cut(pipeline.brokers.nodes[chosen - 1], clients_too=True)
    await_flow(pipeline)
    print(f"each symbol has a new price after {monotonic() - begun:.1f} s")
    expect_finding(pipeline, "warn", MISSING)
    await_missing(programs[1], 1)
    await_alert(prometheus, begun)
    wait_until(lambda: monotonic() > begun + SECONDS, SECONDS + 1)
    await_flow(pipeline)
    mend(pipeline, connections, prometheus, *programs, recorder)
    await_missing(programs[1], 0)

    count = expect_no_loss(pipeline, programs)
    expect_recorded(pipeline, recorder, count)


def test_prices_flow_on_while_only_clients_reach_the_leader_of_all_partitions(
    pipeline: Pipeline,
    only_leader: int,
    programs: Programs,
    recorder: Program,
    connections: Connections,
    prometheus: Prometheus,
):
    broker = pipeline.brokers.nodes[only_leader - 1]
    assert [pipeline.brokers.leader(pipeline.topic, number) for number in range(4)] == [only_leader] * 4
    begun = monotonic()
    connections.cut(broker, clients_too=False)
    await_replacement(pipeline, only_leader)
    await_flow(pipeline)
    print(f"each symbol has a new price after {monotonic() - begun:.1f} s")
    expect_finding(pipeline, "warn", MISSING)
    expect_finding(pipeline, "fail", f"{broker.address} answers, but is no part of the cluster", ask_all=True)
    await_alert(prometheus, begun)
    for program in (*programs, recorder):
        wait_until(lambda program=program: program.readiness()[0] == 200, 60, f"{program.command} ready")
        print(program.command, [line.get("reason") for line in program.logged("unavailable")])
        print(program.command, len(program.logged("brokers are cut off from the others")), "times left a broker")
    wait_until(lambda: monotonic() > begun + SECONDS, SECONDS + 1)
    await_flow(pipeline)
    mend(pipeline, connections, prometheus, *programs, recorder)

    count = expect_no_loss(pipeline, programs)
    expect_recorded(pipeline, recorder, count)


def test_a_generator_without_enough_replicas_is_not_ready_and_continues_afterwards(
    pipeline: Pipeline,
    programs: Programs,
    recorder: Program,
    connections: Connections,
    prometheus: Prometheus,
    leader: int,
):
    generator, _processor = programs
    require_replicas(pipeline, 3)
    connections.cut(pipeline.brokers.nodes[leader - 1], clients_too=True)
    line = generator.wait_for_log("Kafka unavailable")
    assert "too few brokers or replicas may be left" in line["reason"]
    status, body = generator.readiness()
    assert (status, body["status"], body["down"]) == (503, "not ready", ["kafka"])
    expect_finding(pipeline, "fail", "all writes are refused now")
    mend(pipeline, connections, prometheus, *programs, recorder)
    assert generator.logged("Kafka available again")

    count = expect_no_loss(pipeline, programs)
    expect_recorded(pipeline, recorder, count)


def require_replicas(pipeline: Pipeline, count: int) -> None:
    """Sets `min.insync.replicas` of the topic."""
    change = ConfigEntry("min.insync.replicas", str(count), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, pipeline.topic, incremental_configs=[change])
    pipeline.brokers.admin.incremental_alter_configs([resource])[resource].result(60)
