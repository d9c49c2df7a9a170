"""Asks what an operator sees of a fault of brokers."""

from functools import partial
from time import monotonic

from stockwatch.doctor.kafka_checks import KafkaPlan, check_kafka
from tests.support.kafka.pipeline import Pipeline
from tests.support.monitoring.prometheus import Prometheus
from tests.support.servers.doctor import diagnose
from tests.support.waiting import wait_until

ALERT = "StockwatchReplicasMissing"


def diagnose_kafka(pipeline: Pipeline, level: str, ask_all: bool = False) -> str:
    """Returns the doctor's findings of a level.

    Asks only brokers that are not cut off, unless `ask_all` is set.
    """
    addresses = [node.address for node in pipeline.brokers.nodes if ask_all or node.answering]
    plan = KafkaPlan(",".join(addresses), pipeline.topic, 4, 3, {"processor": pipeline.group}, is_production=True)
    return "\n".join(diagnose(partial(check_kafka, plan)).lines(level))


def await_alert(prometheus: Prometheus, begun: float) -> None:
    """Waits until the alert about missing replicas fires. Prints how long after the time `begun`."""
    wait_until(lambda: ALERT in prometheus.firing(), 90, ALERT)
    print(f"{ALERT} fires after {monotonic() - begun:.1f} s")


def await_no_alert(prometheus: Prometheus) -> None:
    """Waits until the alert about missing replicas does not fire any more."""
    mended = monotonic()
    wait_until(lambda: ALERT not in prometheus.firing(), 90, f"the end of {ALERT}")
    print(f"{ALERT} ends {monotonic() - mended:.1f} s after all replicas are in sync")
