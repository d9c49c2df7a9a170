"""Connections over a limit, and what `/ws/status` says about them."""

import json
import socket
import urllib.request
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.gateway.database import sign_in
from tests.support.gateway.process import SERVERS, receive_frame
from tests.support.gateway.raw_socket import make_upgrade
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


def connect_often(gateway):
    """Connects more often than a burst of two allows. On a busy machine a late reply of Redis accepts one more."""
    for _ in range(20):
        with gateway.connect():
            pass


@pytest.mark.parametrize("command", SERVERS)
def test_an_address_that_connects_too_often_gets_429_with_retry_after(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_RATE_PER_SECOND="0.01", GATEWAY_RATE_BURST="2")
    with pytest.raises(InvalidStatus) as caught:
        connect_often(gateway)
    assert caught.value.response.status_code == 429
    assert 50 <= int(caught.value.response.headers["Retry-After"]) <= 100
    assert gateway.metric('refused_total{reason="address rate"}') == 1


@pytest.mark.parametrize("command", SERVERS)
def test_a_full_gateway_refuses_clients_until_one_has_left(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_MAX_CONNECTIONS="2")
    with gateway.connect() as first, gateway.connect():
        with pytest.raises(InvalidStatus) as caught, gateway.connect():
            pass
        assert caught.value.response.status_code == 429
        assert "Retry-After" in caught.value.response.headers
        first.close()
        wait_until(lambda: gateway.metric("connections") == 1)
        with gateway.connect():
            pass


def open_clients(gateway, request, count=1000):
    """Connects clients that send `request` and stay connected. Returns their sockets."""
    clients = []
    for _ in range(count):
        clients.append(socket.create_connection(("127.0.0.1", gateway.port), timeout=60))
        with suppress(ConnectionError):  # a gateway without a free file descriptor may close the connection before
            clients[-1].sendall(request)
    return clients


def read_status(client):
    """Returns the status of the response that a client gets, or 0 if the connection ends without a response."""
    with suppress(ConnectionError):
        return int(client.recv(12)[-3:] or 0)
    return 0


@pytest.mark.parametrize(
    ("request_bytes", "accepted", "refused"),
    [(make_upgrade("a"), 101, 429), (b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200, 0)],
    ids=["sockets", "http"],
)
def test_more_clients_than_open_files_are_refused_and_counted_until_the_others_leave(
    make_gateway, request_bytes, accepted, refused
):
    gateway = make_gateway()
    gateway.launcher = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh"]
    gateway.start()
    with gateway.connect() as witness:
        witness.send('["AAPL"]')
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        clients = open_clients(gateway, request_bytes)
        statuses = Counter(read_status(client) for client in clients)
        update = gateway.publish("AAPL")
        assert receive_frame(witness)["seq_id"] == update.seq_id
        for client in clients:
            client.close()
        assert {accepted, refused} <= statuses.keys() <= {accepted, refused, 0}
        assert 150 < statuses[accepted] < 256
        wait_until(lambda: count_open_files(gateway) < 50)
        with gateway.connect() as late:
            late.send('["GOOG"]')
            wait_until(lambda: gateway.redis.pubsub_numsub("prices.GOOG")[0][1] == 1)
            update = gateway.publish("GOOG")
            assert receive_frame(late)["seq_id"] == update.seq_id
    counted = [gateway.metric(f'refused_total{{reason="{reason}"}}') for reason in ("full", "no file descriptor")]
    assert sum(counted) == 1000 - statuses[accepted]


def count_open_files(gateway):
    return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


@pytest.mark.parametrize(
    ("variables", "query", "headers", "answer"),
    [
        ({}, "", {}, {"ok": True, "connections": 0}),
        ({}, "?heartbeat=0.5", {}, {"ok": False, "status": 400, "reason": "query", "retry_after": 0}),
        (
            {"GATEWAY_ALLOWED_ORIGINS": "https://a.example"},
            "",
            {"Origin": "https://b.example"},
            {"ok": False, "status": 403, "reason": "origin", "retry_after": 0},
        ),
    ],
)
def test_the_status_says_why_an_upgrade_would_fail(run_gateway, variables, query, headers, answer):
    gateway = run_gateway("daphne", **variables)
    request = urllib.request.Request(f"http://{gateway.address}/ws/status{query}", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        assert json.load(response) == answer
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("command", SERVERS)
def test_the_status_says_how_long_an_address_must_wait(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_RATE_PER_SECOND="0.01", GATEWAY_RATE_BURST="1")

    def refusal():
        with gateway.connect():
            status = json.loads(gateway.get("/ws/status")[1])
        return None if status["ok"] else status

    status = wait_until(refusal)
    assert status["reason"] == "address rate"
    assert 50 <= status["retry_after"] <= 100


@pytest.mark.parametrize("command", SERVERS)
def test_a_forwarded_address_counts_only_behind_a_trusted_proxy(run_gateway, command):
    gateway = run_gateway(command)
    with gateway.connect(additional_headers={"X-Forwarded-For": "203.0.113.9", "Daphne-Root-Path": "/evil"}):
        wait_until(lambda: gateway.redis.exists("ratelimit:127.0.0.1"))
    trusting = run_gateway(command, GATEWAY_TRUSTED_PROXIES="127.0.0.0/8")
    with trusting.connect(additional_headers={"X-Forwarded-For": "203.0.113.9"}):
        wait_until(lambda: trusting.redis.exists("ratelimit:203.0.113.9"))


def test_the_rate_limit_counts_a_signed_in_page_by_its_account(run_gateway):
    gateway = run_gateway("rungateway")
    headers, _ = sign_in(gateway)
    with gateway.connect("?meta=1", additional_headers=headers):
        wait_until(lambda: gateway.redis.exists("ratelimit:account:1"))
        assert not gateway.redis.exists("ratelimit:127.0.0.1")
    with gateway.connect("?meta=1", additional_headers=headers | {"Cookie": "sessionid=invented0"}):
        wait_until(lambda: gateway.redis.exists("ratelimit:127.0.0.1"))


def test_the_status_counts_the_connections_of_all_processes(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_PROCESSES="2")
    with ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(gateway.connect()).send('{"action":"ping"}')

        def read_statuses():
            return {gateway.get("/ws/status")[1] for _ in range(10)}

        wait_until(lambda: read_statuses() == {'{"ok":true,"connections":16}'})
    wait_until(lambda: read_statuses() == {'{"ok":true,"connections":0}'})


@pytest.mark.parametrize("command", SERVERS)
def test_a_request_of_the_socket_path_without_an_upgrade_gets_426(run_gateway, command):
    gateway = run_gateway(command)
    for path in ("/ws", "/ws/", "/ws?batch=1"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://{gateway.address}{path}", timeout=15)
        assert (caught.value.code, caught.value.headers["Upgrade"]) == (426, "websocket")
        caught.value.close()


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_other_sites_may_read_the_status(run_gateway, method):
    gateway = run_gateway("daphne")
    request = urllib.request.Request(f"http://{gateway.address}/ws/status", method=method)
    with urllib.request.urlopen(request, timeout=15) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
