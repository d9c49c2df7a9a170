"""Streams under each server: real processes, real sockets, curl."""

import json
import shutil
import signal
import subprocess

import pytest

from feeds.wire import encode
from tests.support.gateway.database import execute, sign_in
from tests.support.gateway.streams import open_stream
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test

ODD_HEADER = "X_Odd: 1"
"""The front hands a request with this header over to Daphne."""
WAYS = [("rungateway", ()), ("rungateway", (ODD_HEADER,)), ("daphne", ()), ("uvicorn", ())]
"""Each way in which a stream is served: a server, and headers of the request."""
COMMANDS = ("rungateway", "uvicorn")
NAMES = ["front", "front to Daphne", "Daphne", "uvicorn"]


@pytest.mark.parametrize(("command", "headers"), WAYS, ids=NAMES)
def test_a_stream_begins_with_the_quote_and_brings_the_published_bytes(run_gateway, command, headers):
    gateway = run_gateway(command)
    quote = gateway.publish("BTC/USD", 99.5)
    with open_stream(gateway, "symbols=aapl,BTC/USD", *headers) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.read_lines()[0].startswith("retry: ")
        assert stream.read_event() == ("update", str(quote.seq_id), encode(quote).decode())
        update = gateway.publish("AAPL")
        assert stream.read_event() == ("update", str(update.seq_id), encode(update).decode())
        assert gateway.metric("streams") == 1


@pytest.mark.parametrize(("command", "headers"), WAYS, ids=NAMES)
def test_a_client_that_leaves_frees_its_stream(run_gateway, command, headers):
    gateway = run_gateway(command)
    with open_stream(gateway, "symbols=AAPL,GOOG", *headers):
        wait_until(lambda: gateway.metric("subscriptions") == 2)
    wait_until(lambda: gateway.metric("streams") == gateway.metric("subscriptions") == 0)
    wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 0)


def test_a_gateway_with_streams_alone_reports_no_slow_path(run_gateway):
    gateway = run_gateway("rungateway")
    with open_stream(gateway, "symbols=AAPL"):
        wait_until(lambda: gateway.metric("connections") == 1)
        assert gateway.metric("fast_path") == 1


@pytest.mark.parametrize(("command", "headers"), WAYS[:2], ids=NAMES[:2])
def test_a_client_that_never_reads_is_dropped_and_others_miss_no_update(run_gateway, command, headers):
    gateway = run_gateway(command, GATEWAY_TIMEOUTS_WRITE_WAIT="1s")
    with (
        open_stream(gateway, "symbols=AAPL", *headers, receive_buffer=4096),
        open_stream(gateway, "symbols=AAPL", *headers) as healthy,
    ):
        wait_until(lambda: gateway.metric("subscriptions") == 2)
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)

        def flood():
            last = publish_large_updates(gateway, 100)
            while healthy.read_seq_id() != last:
                pass
            return gateway.metric('closed_total{reason="slow"}') == 1

        wait_until(flood)
        wait_until(lambda: gateway.metric("connections") == 1)


@pytest.mark.parametrize(("command", "headers"), WAYS, ids=NAMES)
def test_a_client_that_reads_late_gets_the_newest_price(run_gateway, command, headers):
    gateway = run_gateway(command, GATEWAY_TIMEOUTS_WRITE_WAIT="10m")
    with open_stream(gateway, "symbols=AAPL", *headers, receive_buffer=4096) as stream:
        wait_until(lambda: gateway.metric("subscriptions") == 1)
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        for burst in range(1, 11):
            last = publish_large_updates(gateway, 200)
            wait_until(lambda burst=burst: gateway.metric("updates_in_total") == burst * 200)
        received = 1
        while stream.read_seq_id() != last:
            received += 1
        assert received < 2000


def publish_large_updates(gateway, count):
    """Publishes updates of 8 KB each. Returns the last seq_id."""
    with gateway.redis.pipeline(transaction=True) as pipe:
        for _ in range(count):
            gateway.sequence += 1
            value = {"symbol": "AAPL", "price": 1.5, "timestamp": gateway.sequence, "seq_id": gateway.sequence}
            pipe.publish("prices.AAPL", json.dumps(value | {"pad": "x" * 8000}))
        pipe.execute()
    return gateway.sequence


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_other_methods_are_refused(run_gateway, command, method):
    gateway = run_gateway(command)
    with open_stream(gateway, method=method) as stream:
        assert (stream.status, stream.headers["allow"]) == (405, "GET")
        if method == "POST":
            assert json.loads(stream.read_body())["title"] == "Method Not Allowed"


@pytest.mark.parametrize(("command", "headers"), WAYS, ids=NAMES)
def test_an_error_before_the_stream_is_a_problem(run_gateway, command, headers):
    gateway = run_gateway(command, GATEWAY_MAX_SYMBOLS="2", GATEWAY_ALLOWED_ORIGINS="https://a.example")
    for query, status, reason in [
        ("symbols=AAPL,XXXX", 404, "unknown symbols"),
        ("symbols=AAPL,GOOG,TSLA", 400, "query"),
        ("symbols=AAPL&max_hz=fast", 400, "query"),
        ("", 400, "query"),
    ]:
        with open_stream(gateway, query, *headers) as stream:
            assert stream.headers["content-type"] == "application/problem+json"
            assert stream.headers["access-control-allow-origin"] == "*"
            body = json.loads(stream.read_body())
            assert (stream.status, body["status"], body["reason"]) == (status, status, reason)
    with open_stream(gateway, "symbols=AAPL", *headers, "Origin: https://b.example") as stream:
        assert (stream.status, json.loads(stream.read_body())["reason"]) == (403, "origin")
    with open_stream(gateway, "symbols=AAPL", *headers, "Origin: https://a.example") as stream:
        assert stream.status == 200


@pytest.mark.parametrize("command", COMMANDS)
def test_an_address_that_connects_too_often_is_told_how_long_to_wait(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_RATE_PER_SECOND="0.01", GATEWAY_RATE_BURST="1")

    def refused():
        with open_stream(gateway) as stream:
            return None if stream.status == 200 else (stream.status, int(stream.headers["retry-after"]))

    status, seconds = wait_until(refused)
    assert status == 429
    assert 50 <= seconds <= 100


@pytest.mark.parametrize(("command", "headers"), WAYS, ids=NAMES)
def test_a_private_gateway_streams_to_signed_in_accounts_until_they_sign_out(run_gateway, command, headers):
    gateway = run_gateway(command, PRIVATE="true")
    account, _ = sign_in(gateway)
    with open_stream(gateway, "symbols=AAPL", *headers) as stream:
        assert (stream.status, json.loads(stream.read_body())["reason"]) == (401, "sign in")
    cookie = f"Cookie: {account['Cookie']}"
    with open_stream(gateway, "symbols=AAPL", *headers, cookie, f"Origin: {account['Origin']}") as stream:
        assert (stream.status, stream.headers["access-control-allow-origin"]) == (200, account["Origin"])
    with open_stream(gateway, "symbols=AAPL", *headers, cookie, "Origin: https://b.example") as stream:
        assert stream.status == 401
    with open_stream(gateway, "symbols=AAPL", *headers, cookie) as stream:
        assert stream.status == 200
        assert "access-control-allow-origin" not in stream.headers
        execute(gateway, "DELETE FROM django_session")
        with pytest.raises(EOFError):
            stream.read_event()


@pytest.mark.parametrize("headers", [(), (ODD_HEADER,)], ids=["front", "Daphne"])
def test_a_stopping_gateway_ends_streams_so_that_clients_connect_again(run_gateway, headers):
    gateway = run_gateway("rungateway")
    with open_stream(gateway, "symbols=AAPL", *headers) as stream:
        wait_until(lambda: gateway.metric("streams") == 1)
        gateway.signal(signal.SIGTERM)
        with pytest.raises(EOFError):
            stream.read_event()
    assert gateway.wait() == 0
    assert "Traceback" not in gateway.log.read_text()


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("command", COMMANDS)
def test_curl_prints_each_update_when_it_comes(run_gateway, command):
    gateway = run_gateway(command)
    url = f"http://{gateway.address}/stream?symbols=AAPL&max_hz=4"
    curl = subprocess.Popen(["curl", "-sN", url], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: gateway.metric("streams") == 1)
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        assert curl.stdout is not None
        assert curl.stdout.readline().startswith("retry: ")
        update = gateway.publish("AAPL")
        assert [curl.stdout.readline() for _ in range(4)] == [
            "\n",
            "event: update\n",
            f"id: {update.seq_id}\n",
            f"data: {encode(update).decode()}\n",
        ]
    finally:
        curl.kill()
        curl.communicate()
