"""Sockets with a personal token, under each server: real processes, real sockets."""

import json
import sqlite3
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.gateway.database import make_token, revoke_tokens
from tests.support.gateway.process import SERVERS, receive_close_code, receive_frame
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test

WRONG = "sw_" + "A" * 43
PING = '{"action":"ping","id":"1"}'


@pytest.fixture(scope="module", params=SERVERS)
def gateway(request, run_gateway):
    return run_gateway(request.param, PRIVATE="true")


@pytest.fixture(scope="module")
def token(gateway):
    return make_token(gateway, "read")


def auth(token, request_id="a"):
    return json.dumps({"action": "auth", "payload": {"token": token}, "id": request_id})


def bearer(token):
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


def refused_status(gateway, token):
    with pytest.raises(InvalidStatus) as caught, gateway.connect(**bearer(token)):
        pass
    return caught.value.response.status_code


def test_a_token_in_a_header_admits(gateway, token):
    with gateway.connect(**bearer(token)) as client:
        client.send(PING)
        assert receive_frame(client)["type"] == "pong"


def test_a_wrong_token_in_a_header_is_refused_before_the_upgrade(gateway):
    for wrong in (WRONG, "sw_x", "sw_" + "A" * 4000):
        assert refused_status(gateway, wrong) == 401


def test_a_token_without_the_scope_read_is_refused(gateway):
    token = make_token(gateway, "lists", "alerts")
    assert refused_status(gateway, token) == 403
    with gateway.connect() as client:
        client.send(auth(token))
        assert receive_frame(client)["code"] == 403
        assert receive_close_code(client) == 4507


def test_a_token_in_a_frame_admits_and_what_follows_at_once_is_carried_out(gateway, token):
    with gateway.connect("?batch=1") as client:
        client.send(auth(token))
        client.send('{"action":"subscribe","payload":{"symbols":["AAPL"]},"id":"b"}')
        client.send(PING)
        frames = [receive_frame(client) for _ in range(3)]
        assert [frame["type"] for frame in frames] == ["ack", "ack", "pong"]
        assert [frames[0]["id"], frames[0]["message"], frames[1]["id"]] == ["a", "Authenticated", "b"]
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        update = gateway.publish("AAPL")
        assert json.loads(client.recv(timeout=60))[0]["seq_id"] == update.seq_id


@pytest.mark.parametrize("first", [PING, '["AAPL"]', "x", '{"action":"auth"}', auth(WRONG), auth(""), auth("é" * 5000)])
@pytest.mark.parametrize("query", ["", "?meta=1&heartbeat=1"])
def test_a_client_that_sends_no_valid_token_gets_an_error_and_nothing_else(gateway, token, query, first):
    with gateway.connect(query) as client:
        client.send(first)
        with suppress(ConnectionClosed):  # the gateway may have closed the socket already
            client.send(PING)
        frame = receive_frame(client)
        assert (frame["type"], frame["code"]) == ("error", 401)
        assert receive_close_code(client) == 4507


def test_a_token_in_the_address_does_not_count(gateway, token):
    with gateway.connect(f"?token={token}&access_token={token}") as client:
        client.send(PING)
        assert receive_frame(client)["code"] == 401
        assert receive_close_code(client) == 4507


def test_a_second_token_is_refused_and_the_socket_stays_open(gateway, token):
    with gateway.connect() as client:
        client.send(auth(token))
        client.send(auth(token, "b"))
        client.send(PING)
        assert [receive_frame(client).get("code") for _ in range(3)] == [None, 400, None]


@pytest.mark.parametrize("command", SERVERS)
def test_revoking_a_token_closes_its_sockets_and_no_others(run_gateway, command):
    gateway = run_gateway(command)
    token = make_token(gateway)
    with gateway.connect(**bearer(token)) as first, gateway.connect() as second, gateway.connect() as other:
        first.send(PING)
        second.send(auth(token))
        other.send(PING)
        for client in (first, second, other):
            assert receive_frame(client)["type"] in {"ack", "pong"}
        revoke_tokens(gateway)
        assert [receive_close_code(client) for client in (first, second)] == [4507, 4507]
        other.send(PING)
        assert receive_frame(other)["type"] == "pong"
    assert refused_status(gateway, token) == 401
    assert gateway.metric('closed_total{reason="token"}') == 2


@pytest.mark.parametrize("command", SERVERS)
def test_wrong_tokens_of_an_address_and_connections_of_a_token_are_limited(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_RATE_PER_SECOND="0.01", GATEWAY_RATE_BURST="2")
    token = make_token(gateway)

    def refusal(token):
        """Connects more often than a burst of two allows. On a busy machine a late reply of Redis accepts one more."""
        for _ in range(20):
            try:
                with gateway.connect(**bearer(token)):
                    pass
            except InvalidStatus as error:
                if error.response.status_code == 429:
                    return int(error.response.headers["Retry-After"])
        return 0

    assert 50 <= refusal(token) <= 100
    assert 50 <= refusal(WRONG) <= 100
    assert gateway.metric('refused_total{reason="token"}') >= 2


def test_the_last_use_of_a_token_is_stored(run_gateway):
    gateway = run_gateway("rungateway")
    token = make_token(gateway)

    def read_last_use():
        with sqlite3.connect(gateway.database, timeout=60) as database:
            [[last_used]] = database.execute("SELECT last_used FROM watchlist_apitoken")
        database.close()
        return last_used

    assert read_last_use() is None
    with gateway.connect(**bearer(token)) as client:
        client.send(PING)
        receive_frame(client)
    wait_until(read_last_use)
