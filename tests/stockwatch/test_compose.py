import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BROKERS = ("kafka-1", "kafka-2", "kafka-3")
INFRASTRUCTURE = {*BROKERS, "valkey", "postgres", "kafka-ui"}
ONE_SHOT = {"migrate"}


def test_the_file_is_valid_by_the_compose_specification():
    schema = json.loads((ROOT / "tests/stockwatch/vendored/compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_services_start_only_with_their_profile():
    assert {name for name, service in SERVICES.items() if not service.get("profiles")} == INFRASTRUCTURE
    assert all(SERVICES[name]["profiles"] == ["services"] for name in SERVICES.keys() - INFRASTRUCTURE)


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
def test_every_long_running_service_has_a_health_check(name: str):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_is_pinned(name: str):
    version = SERVICES[name]["image"].rpartition(":")[2]
    assert version[0].isdigit() or version.startswith("v")
    assert "." in version


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_loopback_only(name: str):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize(("name", "port"), [("kafka-1", 9092), ("kafka-2", 9093), ("kafka-3", 9094), ("valkey", 6379)])
def test_host_ports_are_the_usual_ones(name: str, port: int):
    assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


@pytest.mark.parametrize("name", BROKERS)
def test_a_broker_advertises_one_address_for_containers_and_one_for_the_host(name: str):
    environment = SERVICES[name]["environment"]
    port = SERVICES[name]["ports"][0].split(":")[1]
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == f"INTERNAL://{name}:19092,HOST://localhost:{port}"
    assert f"HOST://:{port}" in environment["KAFKA_LISTENERS"]
    assert f"{environment['KAFKA_NODE_ID']}@{name}:29093" in environment["KAFKA_CONTROLLER_QUORUM_VOTERS"]


@pytest.mark.parametrize("name", BROKERS)
def test_a_topic_has_three_replicas_of_which_two_must_be_in_sync(name: str):
    environment = SERVICES[name]["environment"]
    assert (environment["KAFKA_DEFAULT_REPLICATION_FACTOR"], environment["KAFKA_MIN_INSYNC_REPLICAS"]) == (3, 2)
    assert len({SERVICES[broker]["environment"]["CLUSTER_ID"] for broker in BROKERS}) == 1


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - INFRASTRUCTURE - ONE_SHOT))
def test_services_wait_for_the_migrations(name: str):
    assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_the_image_runs_as_its_own_user_and_compiles_no_package():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "USER stockwatch" in dockerfile
    assert "--only-binary :all:" in dockerfile
    assert "HEALTHCHECK" in dockerfile


def test_the_image_contains_neither_secrets_nor_a_database():
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in patterns
    assert not any(pattern in {"!.env", "!db.sqlite3", "!.git"} for pattern in patterns)


def test_the_health_check_of_the_purge_fails_unless_it_has_succeeded_lately(tmp_path):
    mark = tmp_path / "purged"
    _, _, option, code = SERVICES["purge"]["healthcheck"]["test"]
    assert SERVICES["purge"]["command"][-2:] == ["--mark", "/tmp/purged"]

    def is_healthy() -> bool:
        command = [sys.executable, option, code.replace("/tmp/purged", str(mark))]
        return subprocess.run(command, capture_output=True).returncode == 0

    assert not is_healthy()
    mark.touch()
    assert is_healthy()
    os.utime(mark, (0, 0))
    assert not is_healthy()


@pytest.mark.django_db
def test_a_purge_marks_its_success(tmp_path):
    call_command("purge", mark=tmp_path / "purged")
    assert (tmp_path / "purged").exists()
