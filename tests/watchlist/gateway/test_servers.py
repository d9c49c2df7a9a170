"""The gateway under each server: direct writes, and the drain."""

import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.support.gateway.process import ROOT, receive_close_code, receive_frame
from tests.support.gateway.raw_socket import dial
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


@pytest.mark.parametrize(
    ("command", "fast"), [("daphne", 1), ("daphne over TLS", 1), ("rungateway", 1), ("uvicorn", 0)]
)
def test_frames_are_written_directly_or_the_log_says_why_not(run_gateway, command, fast):
    gateway = run_gateway(command)
    for number in (1, 2):
        with gateway.connect() as client:
            client.send('["AAPL"]')
            wait_until(lambda number=number: gateway.metric("connections_accepted_total") == number)
            assert gateway.metric("fast_path") == fast
    assert gateway.log.read_text().count("no direct writes") == 1 - fast


def test_the_development_server_serves_sockets(run_gateway):
    gateway = run_gateway("runserver")
    with gateway.connect() as client:
        client.send('{"action":"ping"}')
        assert receive_frame(client)["type"] == "pong"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopping_gateway_closes_every_socket_with_4001(run_gateway, number):
    gateway = run_gateway("rungateway")
    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in range(20)]
        for client in clients:
            client.send('["AAPL"]')
        wait_until(lambda: gateway.metric("subscriptions") == 20)
        gateway.signal(number)
        assert {receive_close_code(client) for client in clients} == {4001}
    assert gateway.wait() == 0
    assert "Traceback" not in gateway.log.read_text()


def test_a_stopping_gateway_sends_notices_and_spreads_the_closes(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_DRAIN="1s")
    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect("?notice=1")) for _ in range(10)]
        for client in clients:
            client.send('{"action":"ping"}')
            receive_frame(client)
        gateway.signal()
        notices = [receive_frame(client) for client in clients]
        assert {notice["type"] for notice in notices} == {"reconnect"}
        assert len({notice["retry_after_ms"] for notice in notices}) > 1
        assert {receive_close_code(client) for client in clients} == {4001}
    assert gateway.wait() == 0


def test_a_stopping_gateway_answers_a_request_that_has_begun(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_DRAIN="60s")
    with dial(gateway) as client:
        client.send(b"POST /sign-in/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n")
        assert gateway.get("/livez")[0] == 200  # The gateway has now read all that was sent before.
        gateway.signal()
        wait_until(lambda: "gateway stopping" in gateway.log.read_text())
        client.send(b"x")
        assert client.read_head()[0] == 403
    assert gateway.wait() == 0


def test_a_stopping_gateway_answers_the_requests_in_its_queue(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_DRAIN="60s")
    gateway.signal(signal.SIGSTOP)
    with ExitStack() as stack:
        clients = [stack.enter_context(dial(gateway)) for _ in range(20)]
        for client in clients:
            client.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        gateway.signal()
        gateway.signal(signal.SIGCONT)
        assert {client.read_head()[0] for client in clients} == {200}
    assert gateway.wait() == 0


def test_a_second_signal_ends_the_gateway_at_once(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_DRAIN="60s")
    with gateway.connect() as client:
        client.send('{"action":"ping"}')
        receive_frame(client)
        gateway.signal()
        wait_until(lambda: "gateway stopping" in gateway.log.read_text())
        gateway.signal()
        assert gateway.wait() == 0


@pytest.mark.parametrize("command", ["rungateway", "daphne over TLS", "uvicorn"])
def test_a_port_in_use_is_reported_in_one_line(run_gateway, command):
    gateway = run_gateway(command)
    variables = {"APP_PORT": gateway.address, "DATABASE_URL": f"sqlite:///{gateway.database}"}
    result = subprocess.run(
        [sys.executable, "manage.py", "rungateway"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"CommandError: {gateway.address} is in use: stop the process that listens there, or set APP_PORT"
    ]
