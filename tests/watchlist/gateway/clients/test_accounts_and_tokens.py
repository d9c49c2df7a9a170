"""`manage.py clients` for accounts, for personal tokens, and for processes without connections."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
import redis
from websockets.sync.client import ClientConnection

from stockwatch.local.redis_server import RedisServer
from tests.support.clients_command import connect_from, find_refusal, list_clients, receive_sequence, succeed
from tests.support.gateway.database import make_token, sign_in
from tests.support.gateway.process import GatewayProcess, find_workers, receive_close_code
from tests.support.waiting import wait_until

OTHER = "198.51.100.7"


@pytest.fixture(scope="module")
def gateway(make_gateway) -> GatewayProcess:
    """A gateway of two processes behind a trusted proxy at 127.0.0.1."""
    return make_gateway(GATEWAY_TRUSTED_PROXIES="127.0.0.1", GATEWAY_PROCESSES="2").start()


@pytest.fixture(autouse=True)
def no_refusals(redis_server: RedisServer) -> Iterator[None]:
    yield
    with redis.Redis(redis_server.host, redis_server.port, protocol=2) as client:
        client.delete("clients:refused")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_processes_without_connections_are_listed(gateway: GatewayProcess):
    pids = wait_until(lambda: set(workers) if len(workers := find_workers(gateway)) == 2 else None, 90, "processes")

    def find_names() -> list[str] | None:
        processes = json.loads(succeed(gateway, "--json"))["processes"]
        names = [name for name, count in processes.items() if int(name.split(":")[1]) in pids and count == 0]
        return names if len(names) == 2 else None

    names = wait_until(find_names, 90, "the list of both processes")
    wait_until(lambda: all(f"{name} has 0 connections" in succeed(gateway) for name in names), 90, "both in the table")


def read_status(gateway: GatewayProcess, headers: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(f"http://{gateway.address}/ws/status", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_a_kicked_account_is_closed_and_its_page_can_read_for_how_long(gateway: GatewayProcess, stack: ExitStack):
    from_other = {"X-Forwarded-For": OTHER}
    headers, _ = sign_in(gateway)
    account = stack.enter_context(gateway.connect("?meta=1", additional_headers=headers | from_other))
    account.send('["AAPL"]')  # a client without a request is closed after 10 s
    visitor = stack.enter_context(connect_from(gateway, OTHER))
    succeed(gateway, "--kick", "demo")
    assert receive_close_code(account) == 4504
    receive_sequence(visitor, gateway.publish("AAPL").seq_id)
    cookie = from_other | {"Cookie": headers["Cookie"]}  # pages send no Origin to their own site
    wait_until(lambda: not read_status(gateway, cookie)["ok"], 60, "the refusal in both processes")
    connect_again = partial(gateway.connect, "?meta=1", additional_headers=headers | from_other)
    refused = wait_until(lambda: find_refusal(connect_again), 60, "the refusal in both processes")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 600
    statuses = [read_status(gateway, cookie) for _ in range(3)]
    assert {(status["status"], status["reason"]) for status in statuses if not status["ok"]} == {
        (429, "refused by operator")
    }
    assert read_status(gateway, from_other)["ok"]
    assert succeed(gateway, "--allow", "demo") == "demo is refused no longer"


def test_a_kicked_token_is_closed_and_refused_and_other_tokens_notice_nothing(
    gateway: GatewayProcess, stack: ExitStack
):
    kicked, other = make_token(gateway), make_token(gateway)

    def connect_with(token: str) -> ClientConnection:
        return gateway.connect(additional_headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": OTHER})

    closed = stack.enter_context(connect_with(kicked))
    closed.send('["AAPL"]')  # a client without a request is closed after 10 s
    [row] = list_clients(gateway, total=1)["clients"]
    kept = stack.enter_context(connect_with(other))
    kept.send('["AAPL"]')
    receive_sequence(kept, gateway.publish("AAPL").seq_id)
    assert f"token:{row['token']}" in succeed(gateway)
    succeed(gateway, "--kick", f"token:{row['token']}")
    assert receive_close_code(closed) == 4504
    refused = wait_until(lambda: find_refusal(partial(connect_with, kicked)), 60, "the refusal in both processes")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 600
    late = stack.enter_context(gateway.connect(additional_headers={"X-Forwarded-For": OTHER}))
    late.send(json.dumps({"action": "auth", "payload": {"token": kicked}}))
    assert receive_close_code(late) == 4504
    receive_sequence(kept, gateway.publish("AAPL").seq_id)
    assert succeed(gateway, "--allow", f"token:{row['token']}").endswith(" is refused no longer")
