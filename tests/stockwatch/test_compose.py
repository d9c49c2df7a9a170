import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stockwatch import VERSION
from tests.support.deploy.compose import IMAGES
from tests.support.project_copy import copy_project, run_manage

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BROKERS = ("kafka-1", "kafka-2", "kafka-3")
INFRASTRUCTURE = {*BROKERS, "valkey", "postgres"}
EDGE = {"certificate", "proxy"}
PROFILES = {"prometheus": "observe", "grafana": "observe", "redis-exporter": "observe", "kafka-ui": "tools"}
"""The profile of each service that `docker compose up` does not start."""
PROGRAMS = SERVICES.keys() - INFRASTRUCTURE - EDGE - PROFILES.keys()
"""The services that run `manage.py`."""
ONE_SHOT = {"certificate", "migrate"}


def test_the_file_is_valid_by_the_compose_specification():
    schema = json.loads((ROOT / "tests/stockwatch/vendored/compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_all_services_start_without_a_profile_except_those_for_operators():
    assert {name: service["profiles"] for name, service in SERVICES.items() if service.get("profiles")} == {
        name: [profile] for name, profile in PROFILES.items()
    }


def test_the_programs_are_the_whole_system():
    runs = Counter(SERVICES[name]["command"][2] for name in PROGRAMS)
    once = ("migrate", "runkafkagen", "runfeed", "runprocessor", "runrecorder", "runalerts", "rundelivery", "purge")
    assert runs == dict.fromkeys(once, 1) | {"rungateway": 3}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_cannot_write_to_its_image_run_as_root_or_gain_rights(name: str):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["user"] not in {"", "0", "root"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_has_limits_of_memory_processes_and_logs(name: str):
    service = SERVICES[name]
    assert re.fullmatch(r"\d+m|1g", service["mem_limit"])
    assert service["pids_limit"] == 1024
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
def test_a_long_running_container_is_started_again_if_it_ends(name: str):
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_each_password_can_be_replaced_and_is_documented():
    page = (ROOT / "docs/operations/containers.md").read_text()
    environments = [service.get("environment", {}).items() for service in SERVICES.values()]
    passwords = {value for variables in environments for name, value in variables if "PASSWORD" in name}
    assert passwords == {"", "${POSTGRES_PASSWORD:-stockwatch}", "${GRAFANA_PASSWORD:-admin}"}
    assert "`POSTGRES_PASSWORD` replaces `stockwatch`" in page
    assert "`GRAFANA_PASSWORD` replaces `admin`" in page


def test_the_proxy_starts_after_what_it_passes_requests_to():
    healthy = {"condition": "service_healthy"}
    assert SERVICES["proxy"]["depends_on"] == {
        "certificate": {"condition": "service_completed_successfully"},
        **dict.fromkeys(("web", "gateway", "gateway-2"), healthy),
    }


def test_the_programs_trust_the_proxy_and_no_other_address():
    address = SERVICES["proxy"]["networks"]["default"]["ipv4_address"]
    assert {SERVICES[name]["environment"]["GATEWAY_TRUSTED_PROXIES"] for name in PROGRAMS} == {address}
    [pool] = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert ip_address(address) in ip_network(pool["subnet"])
    assert ip_address(address) not in ip_network(pool["ip_range"])


def test_both_gateways_have_the_name_that_the_proxy_passes_sockets_to():
    named = {
        name for name, service in SERVICES.items() if service.get("networks", {}).get("default", {}).get("aliases")
    }
    assert named == {"gateway", "gateway-2"}
    assert SERVICES["gateway"]["networks"]["default"]["aliases"] == ["gateways"]
    assert "set $gateways http://gateways:8081;" in (ROOT / "deploy/compose/nginx.conf").read_text()


def test_prometheus_asks_every_program_that_serves_metrics():
    scraped = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())["scrape_configs"]
    targets = {target for job in scraped for config in job["static_configs"] for target in config["targets"]}
    ports = {
        f"{name}:{value}"
        for name in PROGRAMS
        for variable, value in SERVICES[name]["environment"].items()
        if variable.endswith("_METRICS_PORT")
    }
    assert targets == ports | {"gateway:8081", "gateway-2:8081", "web:8081", "redis-exporter:9121"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_the_files_that_a_container_mounts_exist(name: str):
    volumes = [volume.split(":") for volume in SERVICES[name].get("volumes", [])]
    named = [source for source, *_ in volumes if source.startswith("./deploy/compose/")]
    assert all((ROOT / source).exists() for source in named)
    assert all(options == ["ro"] for source, _, *options in volumes if source.startswith("./"))


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
def test_every_long_running_service_has_a_health_check(name: str):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
def test_a_busy_machine_has_time_to_start_a_health_check(name: str):
    assert SERVICES[name]["healthcheck"]["timeout"] == "30s"


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


@pytest.mark.parametrize("name", sorted(PROGRAMS - ONE_SHOT))
def test_services_wait_for_the_migrations(name: str):
    assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_the_database_is_asked_over_tcp_where_its_temporary_server_does_not_listen():
    command = SERVICES["postgres"]["healthcheck"]["test"]
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_a_failed_migration_is_repeated():
    assert SERVICES["migrate"]["restart"].startswith("on-failure")
    assert SERVICES["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


def environment_without_a_file(name: str) -> dict[str, str]:
    """Returns the variables that Compose gives a service if there is no `.env` and the shell sets none."""
    variables = SERVICES[name]["environment"].items()
    return {key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for key, value in variables}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_without_a_secret_key_no_service_starts(tmp_path: Path, name: str):
    environment = environment_without_a_file(name)
    assert environment["APP_ENV"] == "production"
    ended = run_manage(copy_project(tmp_path / "project"), *SERVICES[name]["command"][2:], **environment)
    assert ended.returncode == 1
    assert ended.stderr.startswith("stockwatch: SECRET_KEY='' cannot be used")
    assert ended.stderr.count("\n") == 1


def test_the_image_alone_runs_in_production():
    assert re.search(r"^ENV .*\bAPP_ENV=production\b", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_image_uses_the_newest_patch_release_of_one_minor_version_of_python():
    tags = re.findall(r"^FROM python:(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(tags) == 2
    assert all(re.fullmatch(r"3\.[0-9]+-slim-[a-z]+", tag) for tag in tags)


def purge_health(stamp: Path) -> int:
    """Runs the health check of the purge service on this file."""
    [*_, code] = SERVICES["purge"]["healthcheck"]["test"]
    named = SERVICES["purge"]["command"][-1]
    assert named in code
    return subprocess.run(
        [sys.executable, "-c", code.replace(named, str(stamp))], capture_output=True, timeout=60, check=False
    ).returncode


def test_the_purge_service_is_unhealthy_if_no_purge_succeeded_within_25_hours(tmp_path: Path):
    stamp = tmp_path / "purged"
    assert purge_health(stamp) == 1
    stamp.touch()
    assert purge_health(stamp) == 0
    day_and_two_hours_ago = time.time() - 26 * 3600
    os.utime(stamp, (day_and_two_hours_ago, day_and_two_hours_ago))
    assert purge_health(stamp) == 1


def test_the_image_has_the_commit_that_it_is_built_with_and_none_by_default():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert 'ARG BUILD_COMMIT=""\nENV BUILD_COMMIT=$BUILD_COMMIT\n' in dockerfile
    assert "org.opencontainers.image.revision=$BUILD_COMMIT" in dockerfile
    assert f'org.opencontainers.image.version="{VERSION}"' in dockerfile
    built = {name: service["build"] for name, service in SERVICES.items() if "build" in service}
    given = {"context": ".", "args": {"BUILD_COMMIT": "${BUILD_COMMIT:-}"}}
    assert built == dict.fromkeys({*PROGRAMS, "certificate"}, given)


FAKE_DOCKER = """#!/bin/sh
echo "$BUILD_COMMIT|$*"
"""
GIT = ("git", "-c", "user.name=tests", "-c", "user.email=tests@example.org")


def run_up_all(folder: Path, **variables: str) -> str:
    """Runs `make up-all` in a folder. Returns what its `docker` prints: the commit, and the arguments."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "docker").write_text(FAKE_DOCKER)
    (programs / "docker").chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    command = ["make", "--silent", "up-all"]
    ended = subprocess.run(
        command, cwd=folder, env=environment | variables, capture_output=True, text=True, timeout=60, check=True
    )
    return ended.stdout.strip()


def test_make_up_all_builds_the_image_with_the_name_of_the_checked_out_commit(tmp_path: Path):
    for command in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "first"]):
        subprocess.run([*GIT, *command], cwd=tmp_path, timeout=60, check=True)
    subprocess.run([*GIT, "tag", "--annotate", "v1.2.3", "--message", "1.2.3"], cwd=tmp_path, timeout=60, check=True)
    assert run_up_all(tmp_path) == "v1.2.3|compose up -d --build --wait"
    assert run_up_all(tmp_path, BUILD_COMMIT="c0ffee") == "c0ffee|compose up -d --build --wait"


def test_make_up_all_outside_a_checkout_builds_the_image_without_a_commit(tmp_path: Path):
    assert run_up_all(tmp_path) == "|compose up -d --build --wait"


def test_the_documentation_names_each_image_that_the_tests_on_an_engine_replace():
    page = (ROOT / "docs/operations/containers.md").read_text()
    replaced = {SERVICES[name]["image"].partition(":")[0] for name in IMAGES} | {"python"}
    assert set(re.findall(r"^\| `([^`]+)` \| stand-in", page, re.MULTILINE)) == replaced
    untested = {SERVICES[name]["image"].partition(":")[0] for name in PROFILES.keys() - IMAGES.keys()}
    assert set(re.findall(r"^\| `([^`]+)` \| not started", page, re.MULTILINE)) == untested


def test_the_image_runs_as_its_own_user_and_compiles_no_package():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "USER stockwatch" in dockerfile
    assert "--only-binary :all:" in dockerfile
    assert "HEALTHCHECK" in dockerfile


def test_the_image_contains_neither_secrets_nor_a_database():
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in patterns
    assert not any(pattern in {"!.env", "!db.sqlite3", "!.git"} for pattern in patterns)
