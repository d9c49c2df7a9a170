"""The health pages of real programs while Kafka and Redis fail."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest

from feeds.kafka.embedded import EmbeddedCluster
from stockwatch.local.redis_server import RedisServer, free_port
from tests.exchanges.kraken import KrakenExchange
from tests.support.servers.commands import Command
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "runkafkagen": "GENERATOR_METRICS_PORT",
    "runprocessor": "PROCESSOR_METRICS_PORT",
    "runrecorder": "RECORDER_METRICS_PORT",
    "runalerts": "ALERTS_METRICS_PORT",
    "runfeed": "FEED_METRICS_PORT",
    "rundelivery": "DELIVERY_METRICS_PORT",
}
GATEWAY = "rungateway"
SCRAPES = 60
"""How many scrapes a test makes of each program. A scrape that waits for Redis takes a second or more."""


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def ports(own_redis: RedisServer, tmp_path: Path) -> Iterator[dict[str, int]]:
    """Starts all programs. Returns the port of each program."""
    ports = {name: free_port() for name in (*PROGRAMS, GATEWAY)}
    with EmbeddedCluster() as cluster, KrakenExchange(("BTC/USD",)) as exchange:
        environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
            "REDIS_ADDR": own_redis.address,
            "KAFKA_BROKERS": cluster.addresses,
            "GENERATOR_INTERVAL": "50ms",
            "APP_PORT": f"127.0.0.1:{ports[GATEWAY]}",
            "GATEWAY_PROCESSES": "2",
            **exchange.settings(),
            **{variable: str(ports[name]) for name, variable in PROGRAMS.items()},
        }
        migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "-v0"]
        subprocess.run(migrate, env=environment, check=True, timeout=120)
        options = {"runfeed": ["kraken"]}
        programs = [Command(name, environment, tmp_path / f"{name}.log", *options.get(name, [])) for name in ports]
        yield ports
        for program in programs:
            program.process.terminate()
        for program in programs:
            program.process.wait(60)


def read_health(port: int, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
    """Returns the status and the answer; the status 0 if nothing listens on the port yet."""
    try:
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, {}


def test_programs_become_ready_and_name_redis_while_it_is_down(ports: dict[str, int], own_redis: RedisServer):
    for name, port in ports.items():
        wait_until(lambda port=port: read_health(port)[0] == 200, 60, f"{name} is ready")
    wait_until(lambda: read_health(ports["runprocessor"])[1].get("partitions"), 60, "partitions")

    own_redis.kill()
    for name in ("runkafkagen", "runprocessor", "runrecorder"):
        wait_until(lambda port=ports[name]: read_health(port)[1].get("down") == ["redis"], 60, f"{name} names Redis")
        assert read_health(ports[name], "/livez")[0] == 200

    own_redis.start()
    for name, port in ports.items():
        wait_until(lambda port=port: read_health(port)[0] == 200, 60, f"{name} is ready again")


def test_metrics_and_livez_do_not_wait_for_a_redis_that_hangs(ports: dict[str, int], own_redis: RedisServer):
    for name, port in ports.items():
        wait_until(lambda port=port: read_health(port)[0] == 200, 90, f"{name} is ready")
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        for name in ("runkafkagen", "runprocessor", "runrecorder", "runfeed", GATEWAY):
            wait_until(lambda port=ports[name]: "redis" in read_health(port)[1].get("down", []), 60, f"{name} waits")
        for name, port in ports.items():
            scrapes = Thread(target=scrape, args=(port,), daemon=True)
            scrapes.start()
            wait_until(lambda scrapes=scrapes: not scrapes.is_alive(), SCRAPES, f"the metrics of {name}")
            assert read_health(port, "/livez")[0] == 200
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
    for name, port in ports.items():
        wait_until(lambda port=port: read_health(port)[0] == 200, 90, f"{name} is ready again")


def scrape(port: int) -> None:
    """Reads the metrics of a program SCRAPES times."""
    for _ in range(SCRAPES):
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            assert b"process_start_time_seconds" in answer.read()
