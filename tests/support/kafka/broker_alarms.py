"""Asks what an operator sees of a fault of brokers."""

from functools import partial

from stockwatch.doctor.kafka_checks import KafkaPlan, check_kafka
from tests.support.kafka.pipeline import Pipeline
from tests.support.servers.doctor import diagnose


def diagnose_kafka(pipeline: Pipeline, level: str) -> str:
    """Returns the doctor's findings of a level, as the brokers describe the cluster that are not cut off."""
    answering = ",".join(node.address for node in pipeline.brokers.nodes if node.answering)
    plan = KafkaPlan(answering, pipeline.topic, 4, 3, {"processor": pipeline.group}, is_production=True)
    return "\n".join(diagnose(partial(check_kafka, plan)).lines(level))
