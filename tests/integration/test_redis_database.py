import os

import pytest

from stockwatch.local.redis_server import free_port
from tests.support.servers.commands import Command
from tests.support.waiting import wait_until

TEXT = "give each installation its own Redis server"


def test_a_gateway_with_a_redis_database_above_0_warns_once(run_gateway):
    gateway = run_gateway(REDIS_DB="3", GATEWAY_PROCESSES="2")
    assert gateway.log.read_text().count(TEXT) == 1


def test_a_gateway_with_redis_database_0_warns_of_nothing(run_gateway):
    assert TEXT not in run_gateway().log.read_text()


@pytest.mark.parametrize(("database", "warnings"), [("3", 1), ("0", 0)])
def test_a_processor_warns_of_a_redis_database_above_0(database, warnings, tmp_path, monkeypatch):
    unreachable = f"127.0.0.1:{free_port()}"
    variables = {"REDIS_ADDR": unreachable, "KAFKA_BROKERS": unreachable, "REDIS_DB": database, "LOGGER_FORMAT": "json"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    processor = Command("runprocessor", dict(os.environ), tmp_path / "log")
    wait_until(lambda: processor.logged("Kafka unavailable"))
    assert processor.end() == 0
    assert processor.text.count(TEXT) == warnings
