"""The pages of a program without web pages, over a real port."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest

from feeds.program_health import HANGS_AFTER_SECONDS, Heartbeat, serve_health
from feeds.retry import Outage, Outages
from stockwatch.local.redis_server import RedisServer, free_port


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Program:
    """A program whose main loop makes a turn at each call of `beat`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.heartbeat = Heartbeat(self.clock)
        self.outages = Outages()
        self.port = free_port()
        self.server: Any = serve_health(
            self.port, "PROCESSOR_METRICS_PORT", lambda: {"partitions": [0, 2]}, self.heartbeat, self.outages
        )

    def get(self, path: str) -> tuple[int, str]:
        try:
            with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{self.port}{path}", timeout=60) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ready(self) -> tuple[int, dict[str, Any]]:
        status, text = self.get("/readyz")
        return status, json.loads(text)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def program() -> Iterator[Program]:
    program = Program()
    yield program
    program.close()


def test_port_0_starts_no_server():
    assert serve_health(0, "PROCESSOR_METRICS_PORT") is None


def test_a_port_serves_the_metrics(program: Program):
    assert "stockwatch_processor_read_total" in program.get("/metrics")[1]
    program.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", program.port))


def test_a_port_in_use_exits_with_the_variable_to_change(redis_server: RedisServer):
    with pytest.raises(SystemExit, match=f"PROCESSOR_METRICS_PORT={redis_server.port} cannot be used"):
        serve_health(redis_server.port, "PROCESSOR_METRICS_PORT")


def test_a_program_is_ready_after_the_first_turn_of_its_loop(program: Program):
    assert program.ready() == (
        503,
        {"status": "not ready", "last_progress_seconds": None, "partitions": [0, 2]},
    )
    assert program.get("/livez")[0] == 200
    program.heartbeat.beat()
    program.clock.seconds += 1.5
    assert program.ready() == (200, {"status": "ready", "last_progress_seconds": 1.5, "partitions": [0, 2]})


def test_a_program_whose_loop_hangs_is_neither_ready_nor_alive(program: Program):
    program.heartbeat.beat()
    program.clock.seconds += HANGS_AFTER_SECONDS
    assert program.get("/livez") == (200, '{"status": "alive"}')
    program.clock.seconds += 1
    assert program.get("/livez") == (503, '{"status": "hangs"}')
    assert program.ready()[0] == 503
    program.heartbeat.beat()
    assert program.get("/livez")[0] == 200


def test_an_unavailable_service_is_named(program: Program):
    program.heartbeat.beat()
    outage, source = (
        Outage("Redis node of worker 1", outages=program.outages),
        Outage("Kraken", outages=program.outages),
    )
    outage.begin("refused")
    source.begin("refused")
    status, answer = program.ready()
    assert (status, answer["status"], answer["down"]) == (503, "not ready", ["redis"])
    outage.end()
    assert program.ready()[0] == 200
    assert program.get("/livez")[0] == 200


def test_a_client_that_sends_no_request_delays_no_other(program: Program):
    with socket.create_connection(("127.0.0.1", program.port)):
        assert program.get("/livez")[0] == 200
