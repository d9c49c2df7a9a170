"""`manage.py clients` on two real gateways, which share one Redis."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis
from websockets.exceptions import InvalidStatus

from stockwatch.local.redis_server import RedisServer
from tests.support.clients_command import connect_from, list_clients, receive_sequence, run_clients, succeed
from tests.support.gateway.process import FRAME_TIMEOUT_SECONDS, ROOT, GatewayProcess, receive_close_code
from tests.support.gateway.streams import open_stream
from tests.support.waiting import wait_until

CLIENT, OTHER = "203.0.113.9", "198.51.100.7"
THIRD = "203.0.113.10"
"""An address that no other test refuses. A process knows up to a second later that a refusal has ended."""
FROM_CLIENT = f"X-Forwarded-For: {CLIENT}"


@pytest.fixture(scope="module")
def gateways(make_gateway) -> tuple[GatewayProcess, GatewayProcess]:
    """A gateway of two processes with a relay, and one of one process, behind a trusted proxy at 127.0.0.1."""
    options = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
    return make_gateway(**options, GATEWAY_PROCESSES="2").start(), make_gateway(**options).start()


@pytest.fixture(autouse=True)
def no_refusals(redis_server: RedisServer) -> Iterator[None]:
    yield
    with redis.Redis(redis_server.host, redis_server.port, protocol=2) as client:
        client.delete("clients:refused")


def is_listed(gateway: GatewayProcess, address: str) -> bool:
    return address in {row["address"] for row in json.loads(succeed(gateway, "--json"))["clients"]}


def is_refused(gateway: GatewayProcess, address: str) -> bool:
    try:
        with connect_from(gateway, address):
            return False
    except InvalidStatus:
        return True


def is_stream_refused(gateway: GatewayProcess) -> bool:
    with open_stream(gateway, "symbols=AAPL", FROM_CLIENT) as stream:
        return stream.status == 429 and json.loads(stream.read_body())["reason"] == "refused by operator"


def test_connections_of_all_gateways_are_listed(gateways: tuple[GatewayProcess, GatewayProcess]):
    first, second = gateways
    with (
        connect_from(first, CLIENT) as one,
        connect_from(second, OTHER) as two,
        open_stream(second, "symbols=AAPL", FROM_CLIENT),
    ):
        for client in (one, two):
            first.publish("AAPL")
            client.recv(timeout=FRAME_TIMEOUT_SECONDS)  # the subscription has been carried out
        answer = list_clients(second, total=3)
        table = succeed(first)
    shown = [(row["address"], row["kind"], row["symbols"], row["symbol_count"]) for row in answer["clients"]]
    assert sorted(shown) == [
        (OTHER, "ws", ["AAPL", "GOOG"], 2),
        (CLIENT, "stream", ["AAPL"], 1),
        (CLIENT, "ws", ["AAPL", "GOOG"], 2),
    ]
    assert {(row["account"], row["backlog"], row["conflated"]) for row in answer["clients"]} == {("", 0, 0)}
    assert table.splitlines()[0].split() == ["address", "account", "kind", "age", "backlog", "conflated", "symbols"]
    assert " connections of " in table


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_kicked_address_is_closed_and_refused_and_others_notice_nothing(
    gateways: tuple[GatewayProcess, GatewayProcess], stack: ExitStack
):
    first, second = gateways
    kicked = [stack.enter_context(connect_from(gateway, CLIENT)) for gateway in gateways]
    others = [stack.enter_context(connect_from(gateway, OTHER)) for gateway in gateways]
    stream = stack.enter_context(open_stream(second, "symbols=AAPL", FROM_CLIENT))
    begin = first.publish("AAPL").seq_id
    for client in (*kicked, *others):
        receive_sequence(client, begin)
    assert succeed(first, "--kick", CLIENT, "--for", "10m").startswith(f"{CLIENT} is refused for 600 s")
    assert [receive_close_code(client) for client in kicked] == [4504, 4504]
    stream.read_body()  # until its end
    with pytest.raises(InvalidStatus) as refused, connect_from(second, CLIENT):
        pass
    assert refused.value.response.status_code == 429
    assert 1 <= int(refused.value.response.headers["Retry-After"]) <= 600
    wait_until(lambda: is_stream_refused(first), what="the refusal in both processes")
    sent = [first.publish("AAPL").seq_id for _ in range(3)]
    for client in others:
        assert receive_sequence(client, sent[-1]) == sent
    # A process knows the counts of the other one up to a second later.
    wait_until(lambda: first.metric('refused_total{reason="refused by operator"}') >= 1, what="the count of refusals")
    assert succeed(second, "--allow", CLIENT) == f"{CLIENT} is refused no longer"
    wait_until(lambda: not is_refused(first, CLIENT) and not is_refused(second, CLIENT), 60, "the end of the refusal")


def test_a_refusal_ends_by_itself(gateways: tuple[GatewayProcess, GatewayProcess], redis_client: redis.Redis):
    first, _ = gateways
    with connect_from(first, THIRD) as client:
        succeed(first, "--kick", THIRD)
        assert receive_close_code(client) == 4504
    succeed(first, "--kick", THIRD, "--for", "1s")  # a busy gateway reads this too late to close a connection
    wait_until(lambda: not is_refused(first, THIRD), 60, "the end of the refusal")
    wait_until(lambda: not redis_client.exists("clients:refused"), 60, "the removal of the refusal")
    assert succeed(first, "--allow", THIRD) == f"{THIRD} was not refused"


def test_the_page_can_read_how_long_it_is_refused(gateways: tuple[GatewayProcess, GatewayProcess]):
    _, second = gateways
    with connect_from(second, OTHER):
        pass  # the first connection starts the gateway
    succeed(second, "--kick", "127.0.0.1")
    wait_until(lambda: not json.loads(second.get("/ws/status")[1])["ok"], 60, "the refusal")
    status = json.loads(second.get("/ws/status")[1])
    assert (status["status"], status["reason"]) == (429, "refused by operator")
    assert 1 <= status["retry_after"] <= 600


def test_a_kicked_watch_command_ends_with_the_reason(gateways: tuple[GatewayProcess, GatewayProcess]):
    _, second = gateways
    # A process knows up to a second later that the refusal of another test has ended.
    wait_until(lambda: json.loads(second.get("/ws/status")[1])["ok"], 60, "the end of other refusals")
    command = [sys.executable, "manage.py", "watch", "AAPL", "--url", f"ws://{second.address}/ws"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    watching = subprocess.Popen(command, cwd=ROOT, env=os.environ | second.variables, **pipes)
    wait_until(lambda: watching.poll() is not None or is_listed(second, "127.0.0.1"), 60, "the connection")
    assert watching.poll() is None, watching.communicate()
    succeed(second, "--kick", "127.0.0.1")
    _, errors = watching.communicate(timeout=60)
    assert watching.returncode == 1
    assert errors.strip().endswith("closed with 4504: the operator closed this connection")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--kick", "nobody-has-this-name"], "neither an IP address nor a user name"),
        (["--kick", "token:999"], "no personal token has the id 999"),
        (["--kick", CLIENT, "--for", "a year"], "write 30s, 10m or 24h"),
        (["--kick", CLIENT, "--for", "999999h"], "from 1s to 168h"),
        (["--kick", CLIENT, "--allow", CLIENT], "not allowed with"),
        (["--kick", ""], "neither an IP address nor a user name"),
        (["--allow", ""], "neither an IP address nor a user name"),
        (["--kick", "203.0.113.0/24"], "203.0.113.0/24 is a network: name one address"),
    ],
)
def test_wrong_arguments_end_with_2(make_gateway, arguments: list[str], text: str):
    ended = run_clients(make_gateway(), *arguments)
    assert ended.returncode == 2
    assert text in ended.stderr


def test_a_redis_that_does_not_answer_is_named_in_one_line(make_gateway):
    ended = run_clients(make_gateway(REDIS_ADDR="127.0.0.1:1"))
    assert ended.returncode == 1
    assert ended.stderr.startswith("CommandError: ConnectionError: ")
    assert ended.stderr.count("\n") == 1
