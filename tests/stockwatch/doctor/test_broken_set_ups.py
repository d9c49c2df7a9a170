"""The doctor names the fault of each broken installation. All servers are real."""

import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from feeds.program_health import serve_health
from stockwatch.doctor.kafka_checks import KafkaPlan, check_kafka
from stockwatch.doctor.ports import check_ports
from stockwatch.doctor.sources import check_sources
from stockwatch.local.redis_server import free_port
from tests.exchanges.kraken import KrakenExchange
from tests.support.project_copy import copy_project
from tests.support.servers.commands import migrate
from tests.support.servers.doctor import PASSWORD, diagnose, expect_fault, run_doctor
from tests.support.servers.postgres import started_postgres
from tests.support.servers.silent_server import silent_server

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU",
    "GATEWAY_ALLOWED_ORIGINS": "https://stocks.example.org",
}


def test_silent_servers_do_not_hold_the_doctor_up():
    with silent_server() as port:
        place = f"127.0.0.1:{port}"
        diagnosis = run_doctor(
            *("redis", "kafka", "database", "clock", "python", "--timeout", "10"),
            REDIS_ADDR=place,
            KAFKA_BROKERS=place,
            DATABASE_URL=f"postgres://stockwatch:{PASSWORD}@{place}/stockwatch",
        )
    expect_fault(diagnosis, f"redis: {place} cannot be used", "check firewall")
    expect_fault(diagnosis, f"kafka: no answer from {place}", "check the firewall")
    expect_fault(diagnosis, "database: ", "check DATABASE_URL")
    assert diagnosis.lines("ok")[0].startswith("python: ")


def test_a_check_that_never_ends_is_named_and_ended():
    with silent_server() as port:
        diagnosis = run_doctor("kafka", "--timeout", "0.2", KAFKA_BROKERS=f"127.0.0.1:{port}")
    expect_fault(diagnosis, "kafka: no result within 0.2 s", "does not answer")


def test_a_database_that_is_not_there_is_named():
    url = f"postgres://stockwatch:{PASSWORD}@127.0.0.1:1/stockwatch"
    expect_fault(run_doctor("database", DATABASE_URL=url), "database: cannot be used", "check DATABASE_URL")


def test_a_wrong_password_of_the_database_is_named():
    with started_postgres() as server:
        server.add_role("reader", "another")
        url = server.address.replace("stockwatch@", f"reader:{PASSWORD}@")
        expect_fault(run_doctor("database", DATABASE_URL=url), "password authentication failed", "check DATABASE_URL")
        diagnosis = run_doctor("database", DATABASE_URL=server.address)
        expect_fault(diagnosis, "migrations: ", "are missing", "run manage.py migrate")
        assert diagnosis.lines("ok")[0].startswith("database: PostgreSQL ")


def test_a_missing_database_file_and_a_missing_administrator_are_named(tmp_path: Path):
    variables = {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    expect_fault(run_doctor("database", **variables), "db.sqlite3 does not exist", "run manage.py migrate")
    assert not (tmp_path / "db.sqlite3").exists()
    migrate({**variables})
    diagnosis = run_doctor("database", **variables)
    expect_fault(diagnosis, "administrator: there is none", "createsuperuser", level="warn")
    assert diagnosis.status == 0


def plan_kafka(brokers: str, topic: str, **more: object) -> Callable:
    groups = {"processor": f"group-{topic}"}
    plan = {"partitions": 4, "replicas": 3, "groups": groups, "is_production": False, **more}
    return partial(check_kafka, KafkaPlan(brokers=brokers, topic=topic, **plan))


def test_a_kafka_that_is_not_there_is_named():
    expect_fault(diagnose(plan_kafka("127.0.0.1:1", "ticks")), "no answer from 127.0.0.1:1", "start Kafka")


def test_a_missing_topic_is_named(kafka: str, topic: str):
    diagnosis = run_doctor("kafka", KAFKA_BROKERS=kafka, KAFKA_TOPIC=topic)
    expect_fault(diagnosis, "kafka topic", f"{topic} does not exist", "start the generator")


def test_too_few_partitions_and_replicas_are_named(kafka: str, topic: str, produce: Callable[..., None]):
    produce((b"AAPL", b"x"))
    diagnosis = diagnose(plan_kafka(kafka, topic, partitions=8))
    expect_fault(diagnosis, "4 partitions with 3 replicas, not 8 partitions", "add partitions")
    diagnosis = diagnose(plan_kafka(kafka, topic, replicas=5, is_production=True))
    expect_fault(diagnosis, "not 5 replicas", "a lost broker loses prices")
    expect_fault(diagnosis, "3 brokers answer", "start 5 brokers")
    diagnosis = diagnose(plan_kafka(kafka, topic))
    expect_fault(diagnosis, "kafka processor", "has committed nothing", "start the processor", level="warn")
    assert diagnosis.status == 0


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_that_another_program_holds_is_named(family: socket.AddressFamily, host: str):
    with closing(socket.create_server((host, 0), family=family)) as listener:
        port = listener.getsockname()[1]
        diagnosis = diagnose(partial(check_ports, {"APP_PORT": ("", port)}))
    expect_fault(diagnosis, f"APP_PORT: another program listens on {f'[{host}]' if ':' in host else host}:{port}")


def test_a_port_that_a_program_of_this_project_holds_is_no_fault():
    port = free_port()
    server = serve_health(port, "PROCESSOR_METRICS_PORT")
    try:
        diagnosis = diagnose(partial(check_ports, {"PROCESSOR_METRICS_PORT": ("", port)}))
    finally:
        server.shutdown()
        server.server_close()
    assert diagnosis.lines("ok") == [f"port: PROCESSOR_METRICS_PORT: {port} is held by a program of this project: "]


def test_two_programs_with_one_port_are_named():
    diagnosis = run_doctor("ports", PROCESSOR_METRICS_PORT="9301", RECORDER_METRICS_PORT="9301")
    expect_fault(diagnosis, "PROCESSOR_METRICS_PORT and RECORDER_METRICS_PORT are both 9301")


def test_an_unknown_setting_is_named_with_a_similar_one(tmp_path: Path):
    project = copy_project(
        tmp_path / "project", b"GATEWAY_MAX_CONECTIONS=5\nWHATEVER_ELSE=1\nKAFKA_OPTION_LINGER_MS=5\n"
    )
    diagnosis = run_doctor("settings", project=project)
    expect_fault(diagnosis, "GATEWAY_MAX_CONECTIONS is not", "write GATEWAY_MAX_CONNECTIONS", level="warn")
    expect_fault(diagnosis, "WHATEVER_ELSE is not the name of a setting: remove the line", level="warn")
    assert not any("KAFKA_OPTION" in line for line in diagnosis.lines("warn"))


def test_settings_that_end_every_program_are_named():
    diagnosis = run_doctor(APP_ENV="production", SECRET_KEY="")
    expect_fault(diagnosis, "settings: SECRET_KEY", "at least 50 characters", "correct the setting")
    diagnosis = run_doctor(**PRODUCTION | {"GATEWAY_ALLOWED_ORIGINS": "*"})
    expect_fault(diagnosis, "settings: GATEWAY_ALLOWED_ORIGINS", "the origin of the site", "correct the setting")


def test_settings_that_no_public_site_should_have_are_named():
    diagnosis = run_doctor("settings", **PRODUCTION, SECURE_COOKIES="false", GATEWAY_TRUSTED_PROXIES="127.0.0.1,::/0")
    for text in ("SECURE_COOKIES is false", "GATEWAY_TRUSTED_PROXIES trusts everyone", "SQLite file"):
        expect_fault(diagnosis, text)
    for text in ("EMAIL_URL sends no e-mails", "SITE_URL is not set"):
        expect_fault(diagnosis, text, level="warn")


def test_a_source_that_refuses_is_named(settings):
    with KrakenExchange(["BTC/USD"]) as exchange:
        settings.KRAKEN_URL, settings.KRAKEN_REST_URL = exchange.url, exchange.rest_url
        assert diagnose(partial(check_sources, ["kraken"])).lines("ok")[0].startswith("sources: kraken: ")
        exchange.set_fault("country_refused")
        diagnosis = diagnose(partial(check_sources, ["kraken"]))
    expect_fault(diagnosis, "kraken cannot be used", "451", "serves this country")


def test_missing_credentials_of_a_source_are_named():
    diagnosis = run_doctor("sources", FEEDS="alpaca", ALPACA_KEY_ID="", ALPACA_SECRET_KEY=PASSWORD)
    expect_fault(diagnosis, "alpaca needs a key: set ALPACA_KEY_ID and ALPACA_SECRET_KEY")
