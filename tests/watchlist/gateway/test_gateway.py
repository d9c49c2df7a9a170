"""The gateway as a client meets it: a real process, a real Redis, an independent WebSocket client."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from feeds import wire
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.gateway.process import PATIENCE, ROOT, SYMBOLS, hear, hear_kind
from tests.support.gateway.raw_socket import upgrade
from tests.support.waiting import wait_until


@pytest.fixture(scope="module", params=["rungateway", "daphne over TLS", "uvicorn"])
def gateway(run_gateway, request):
    return run_gateway(request.param, GATEWAY_ALLOWED_ORIGINS="https://prices.example", GATEWAY_MAX_SYMBOLS="5")


@pytest.fixture(autouse=True)
def no_old_prices(redis_client):
    return redis_client


def close_code(client):
    """The code that the server closed with."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(timeout=PATIENCE)
    return client.close_code


def test_two_snapshots_then_every_update_as_it_was_published(gateway):
    first, second = gateway.publish("AAPL"), gateway.publish("GOOG")
    with gateway.connect() as client:
        client.send('["AAPL","GOOG"]')
        assert {client.recv(timeout=PATIENCE), client.recv(timeout=PATIENCE)} == {
            wire.encode(first).decode(),
            wire.encode(second).decode(),
        }
        for _ in range(50):
            update = gateway.publish("AAPL")
            assert client.recv(timeout=PATIENCE) == wire.encode(update).decode()


def test_the_action_form_acknowledges_first(gateway):
    update = gateway.publish("AAPL")
    with gateway.connect() as client:
        client.send('{"action":"subscribe","payload":{"symbols":["AAPL"]},"id":"1"}')
        assert hear(client)["message"] == "Subscribed to [AAPL]"
        assert hear(client)["seq_id"] == update.seq_id


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_symbols_of_every_shape_work_from_end_to_end(gateway, symbol):
    with gateway.connect() as client:
        client.send(json.dumps({"action": "subscribe", "payload": {"symbols": [symbol]}}))
        assert hear(client)["symbols"] == [symbol]
        wait_until(lambda: gateway.redis.pubsub_numsub(f"prices.{symbol}")[0][1] == 1)
        update = gateway.publish(symbol)
        assert hear(client) == {
            "symbol": symbol,
            "price": 100.0,
            "timestamp": update.timestamp,
            "seq_id": update.seq_id,
        }


def test_whatever_is_published_on_the_channel_arrives_byte_for_byte(gateway):
    payload = '{ "timestamp": 99, "seq_id":1, "price":1.50, "symbol":"TSLA","venue":"elsewhere" }'
    with gateway.connect() as client:
        client.send('["TSLA"]')
        wait_until(lambda: gateway.metric("subscriptions") == 1)
        wait_until(lambda: gateway.redis.publish("prices.TSLA", payload) == 1)
        assert client.recv(timeout=PATIENCE) == payload


def test_a_process_listens_once_to_a_symbol_and_leaves_it_with_the_last_client(gateway):
    def listeners():
        return gateway.redis.pubsub_numsub("prices.^GSPC")[0][1]

    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in range(5)]
        for client in clients:
            client.send('["^GSPC"]')
        wait_until(lambda: gateway.metric("subscriptions") == 5)
        wait_until(lambda: listeners() == 1)
        for client in clients[1:]:
            client.close()
        wait_until(lambda: gateway.metric("subscriptions") == 1)
        assert listeners() == 1
    wait_until(lambda: listeners() == 0)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://prices.example.evil.test"])
def test_a_foreign_origin_is_refused(gateway, origin):
    with pytest.raises(InvalidStatus) as caught, gateway.connect(origin=origin):
        pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["https://prices.example", None])
def test_an_allowed_or_missing_origin_passes(gateway, origin):
    with gateway.connect(origin=origin) as client:
        client.send('{"action":"ping"}')
        assert hear(client)["type"] == "pong"


def test_another_path_is_not_found(gateway):
    with pytest.raises(InvalidStatus) as caught, gateway.connect("/elsewhere"):
        pass
    assert caught.value.response.status_code == 404


def connect_often(gateway):
    """More often than a burst of two allows, though a Redis that is late on a busy machine lets one more in."""
    for _ in range(20):
        with gateway.connect():
            pass


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_an_address_that_connects_too_often_is_told_when_to_return(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_RATE_PER_SECOND="0.01", GATEWAY_RATE_BURST="2")
    with pytest.raises(InvalidStatus) as caught:
        connect_often(gateway)
    assert caught.value.response.status_code == 429
    assert 50 <= int(caught.value.response.headers["Retry-After"]) <= 100
    assert gateway.metric('refused_total{reason="address rate"}') == 1


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_a_full_gateway_refuses_and_takes_the_next_when_one_has_left(run_gateway, command):
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


@pytest.mark.parametrize(
    ("frame", "code"),
    [("not json", 4501), ("[]", 4501), (b"\x00", 4503), ('["' + "x" * 65536 + '"]', 4502)],
    ids=["not json", "no symbol", "binary", "too large"],
)
def test_a_client_at_fault_is_closed_with_a_code_that_says_so(gateway, frame, code):
    with gateway.connect() as client:
        client.send(frame)
        assert close_code(client) == code


def test_more_symbols_than_allowed_are_refused_and_the_socket_lives(gateway):
    with gateway.connect() as client:
        client.send(json.dumps({"action": "subscribe", "payload": {"symbols": SYMBOLS}, "id": "1"}))
        assert hear(client)["code"] == 405
        client.send('{"action":"ping"}')
        assert hear(client)["type"] == "pong"


def test_strange_text_is_answered_and_never_written_to_the_log(gateway):
    strange = "evil\r\n\x00{injected}"
    with gateway.connect() as client:
        client.send(json.dumps({"action": strange, "id": strange}))
        assert hear(client)["message"] == f"Unknown action: {strange}"
        client.send(json.dumps({"action": "subscribe", "payload": {"symbols": [strange]}}))
        assert hear(client)["code"] == 404
        client.send("[" * 60_000)
        client.send('{"action":"ping","id":"' + "1" * 5000 + '","n":' + "9" * 5000 + "}")
        with suppress(ConnectionClosed):
            hear(client)
    assert "injected" not in gateway.log.read_text()
    assert "Traceback" not in gateway.log.read_text()


def test_a_base_price_changed_in_the_table_reaches_pages_that_ask_for_tickers(gateway):
    with gateway.connect("?meta=1") as client:
        client.send('{"action":"subscribe","payload":{"symbols":["BRK.B"]}}')
        assert hear(client)["type"] == "ack"
        assert hear(client)["base"] == 100.0
        with sqlite3.connect(gateway.database) as database:
            database.execute("UPDATE feeds_ticker SET base_price = 250 WHERE symbol = 'BRK.B'")
        assert hear(client) == {
            "type": "ticker",
            "symbol": "BRK.B",
            "name": "BRK.B",
            "base": 250.0,
            "decimals": 2,
            "active": True,
            "previous_close": None,
        }
    database.close()


def test_a_ticker_switched_off_can_no_longer_be_asked_for(gateway):
    with sqlite3.connect(gateway.database) as database:
        database.execute("UPDATE feeds_ticker SET active = 0 WHERE symbol = 'EURUSD=X'")
    database.close()

    def is_unknown():
        with gateway.connect() as client:
            client.send('{"action":"subscribe","payload":{"symbols":["EURUSD=X"]}}')
            return hear(client).get("code") == 404

    wait_until(is_unknown)


def test_the_list_of_valid_tickers_is_exact_and_the_start_names_what_it_hides(run_gateway):
    gateway = run_gateway("daphne", GATEWAY_VALID_TICKERS="AAPL,ZZZZ")
    with gateway.connect() as client:
        client.send('{"action":"subscribe","payload":{"symbols":["AAPL","GOOG","ZZZZ"]}}')
        ack = hear(client)
    assert (ack["symbols"], ack["rejected"]) == (["AAPL", "ZZZZ"], {"GOOG": "unknown symbol"})
    hidden = next(line for line in gateway.log.read_text().splitlines() if "hidden" in line)
    assert json.loads(hidden)["symbols"] == [symbol for symbol in SYMBOLS if symbol != "AAPL"]


@pytest.mark.parametrize("command", ["rungateway", "daphne over TLS", "daphne with timers"])
def test_pings_go_out_and_a_client_that_never_answers_is_closed_while_others_stay(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_TIMEOUTS_PING_PERIOD="1s", GATEWAY_TIMEOUTS_PONG_WAIT="6s")
    with gateway.connect() as healthy, raw_client(gateway) as deaf:
        healthy.send('{"action":"ping"}')
        deaf.sendall(masked(b'{"action":"ping"}'))
        received = b""
        while b"\x88\x02" not in received:
            more = deaf.recv(4096)
            assert more, f"no close frame after {received!r}"
            received += more
            if b"\x89\x00" in received[-2:]:
                deaf.sendall(masked(b'{"action":"ping"}'))  # data is not a pong
        code = int.from_bytes(received[received.index(b"\x88\x02") + 2 :][:2], "big")
        assert code == 4012
        hear(healthy)
        healthy.send('{"action":"ping"}')
        assert hear(healthy)["type"] == "pong"


@pytest.mark.parametrize("command", ["daphne", "daphne over TLS"])
def test_a_client_that_never_reads_is_dropped_and_the_others_miss_nothing(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_TIMEOUTS_WRITE_WAIT="1s")
    with raw_client(gateway, receive_buffer=4096) as stalled, gateway.connect() as healthy:
        stalled.sendall(masked(b'["AAPL"]'))
        healthy.send('["AAPL"]')
        wait_until(lambda: gateway.metric("subscriptions") == 2)
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)

        def flood():
            for _ in range(100):
                update = gateway.publish("AAPL")
                assert hear(healthy)["seq_id"] == update.seq_id
            return gateway.metric('closed_total{reason="slow"}') == 1

        wait_until(flood, 60)
        wait_until(lambda: gateway.metric("connections") == 1)


@pytest.mark.parametrize("command", ["daphne", "daphne over TLS"])
def test_a_page_that_does_not_read_while_all_tickers_change_gets_each_as_it_is_when_it_reads(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_TIMEOUTS_WRITE_WAIT="10m")
    symbols = [f"S{number}" for number in range(1000)]
    columns = "symbol, name, base_price, volatility, decimals, active"
    with sqlite3.connect(gateway.database, timeout=15) as database:
        rows = [(symbol, "A name of some length", 100.0, 1.0, 2, True) for symbol in symbols]
        database.executemany(f"INSERT INTO feeds_ticker ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.close()
    subscribe = json.dumps({"action": "subscribe", "payload": {"symbols": symbols}}).encode()
    with gateway.connect("?meta=1") as witness, upgrade(gateway, path="/ws?meta=1", receive_buffer=4096) as late:
        witness.send('["S999"]')
        late.send_text(subscribe)
        wait_until(lambda: gateway.metric("subscriptions") == 1001)
        for base in range(1, 8):
            change(gateway, f"UPDATE feeds_ticker SET base_price = {base}")
            while hear(witness).get("base") != base:
                pass
        late.send_text('{"action":"ping","id":"alive"}')
        bases, count = {}, 0
        while set(bases.values()) != {7.0} or len(bases) < len(symbols):
            frame = json.loads(late.read_text())
            if frame["type"] == "ticker":
                bases[frame["symbol"]] = frame["base"]
                count += 1
        assert count < 4 * len(symbols), "more was kept than the newest"
    assert gateway.metric('closed_total{reason="slow"}') == 0


def raw_client(gateway, receive_buffer=None):
    """A socket that has been upgraded and does nothing by itself."""
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(15)
    client.connect(("127.0.0.1", gateway.port))
    client.sendall(
        f"GET /ws HTTP/1.1\r\nHost: {gateway.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(1)
    assert re.match(rb"HTTP/1.1 101", answer)
    return client


def masked(payload):
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


@pytest.mark.parametrize(
    ("command", "fast"), [("daphne", 1), ("daphne over TLS", 1), ("rungateway", 1), ("uvicorn", 0)]
)
def test_frames_go_straight_to_the_transport_or_the_log_says_why_not(run_gateway, command, fast):
    gateway = run_gateway(command)
    for number in (1, 2):
        with gateway.connect() as client:
            client.send('["AAPL"]')
            wait_until(lambda number=number: gateway.metric("connections_accepted_total") == number)
            assert gateway.metric("fast_path") == fast
    assert gateway.log.read_text().count("no direct writes") == 1 - fast


def test_the_development_server_serves_sockets_too(run_gateway):
    gateway = run_gateway("runserver")
    with gateway.connect() as client:
        client.send('{"action":"ping"}')
        assert hear(client)["type"] == "pong"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_that_goes_tells_every_client_to_come_back(run_gateway, number):
    gateway = run_gateway("rungateway")
    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in range(20)]
        for client in clients:
            client.send('["AAPL"]')
        wait_until(lambda: gateway.metric("subscriptions") == 20)
        gateway.signal(number)
        assert {close_code(client) for client in clients} == {4001}
    assert gateway.wait() == 0
    assert "Traceback" not in gateway.log.read_text()


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_sockets_survive_a_redis_that_dies_and_prices_flow_again(run_gateway, command):
    with RedisServer() as server:
        gateway = run_gateway(command, server=server)
        with gateway.connect() as client:
            client.send('["AAPL"]')
            wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
            gateway.publish("AAPL")
            hear(client)
            server.kill()
            wait_until(lambda: gateway.get("/readyz")[0] == 503)
            assert json.loads(gateway.get("/readyz")[1])["down"] == ["redis"]
            assert gateway.get("/livez")[0] == 200
            with gateway.connect() as other:
                other.send('{"action":"subscribe","payload":{"symbols":["GOOG"]}}')
                assert hear(other)["type"] == "ack"
                server.start()
                wait_until(lambda: gateway.redis.pubsub_numsub("prices.GOOG")[0][1] == 1)
                update = gateway.publish("GOOG")
                assert hear(other)["seq_id"] == update.seq_id
            wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
            update = gateway.publish("AAPL")
            assert hear(client)["seq_id"] == update.seq_id
            assert gateway.metric("channel_layer_losses_total") == 1
        assert "Traceback" not in gateway.log.read_text()
        gateway.stop()


def test_a_database_that_is_down_is_named_and_clients_are_sent_away(run_gateway):
    gateway = run_gateway("rungateway", DATABASE_URL=f"postgres://nobody@127.0.0.1:{free_port()}/none")
    status, text = gateway.get("/readyz")
    assert (status, json.loads(text)["down"]) == (503, ["database"])
    with pytest.raises(InvalidStatus) as caught, gateway.connect():
        pass
    assert caught.value.response.status_code == 503
    assert "Traceback" not in gateway.log.read_text()


def test_a_cut_of_the_subscription_loses_no_last_price(gateway):
    with gateway.connect() as client:
        client.send('["AAPL"]')
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        losses = gateway.metric("channel_layer_losses_total")
        gateway.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        update = gateway.publish("AAPL")
        assert hear(client)["seq_id"] == update.seq_id
        assert gateway.metric("channel_layer_losses_total") == losses + 1


def test_a_port_in_use_is_said_in_one_line(gateway):
    variables = {"APP_PORT": gateway.address, "DATABASE_URL": f"sqlite:///{gateway.database}"}
    ended = subprocess.run(
        [sys.executable, "manage.py", "rungateway"], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"CommandError: {gateway.address} is in use: stop what listens there, or set APP_PORT"
    ]


def test_metrics_show_what_goes_in_and_out(gateway):
    before = gateway.metric("updates_out_total")
    with gateway.connect() as client:
        client.send('["AAPL"]')
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        update = gateway.publish("AAPL")
        hear(client)
        assert gateway.metric("updates_out_total") == before + 1
        assert gateway.metric("end_to_end_seconds_count") > 0
        assert gateway.metric("newest_update_timestamp_seconds") == pytest.approx(update.timestamp / 1e6)


def test_a_page_gets_batches_and_its_rate_acknowledged(gateway):
    first = gateway.publish("AAPL")
    with gateway.connect("?batch=1&heartbeat=60&meta=1&notice=1") as client:
        options = {"max_hz": 4}
        client.send(json.dumps({"action": "subscribe", "payload": {"symbols": ["AAPL"], "options": options}}))
        assert hear(client)["options"] == {"mode": "latest", "max_hz": 4.0, "snapshot": True}
        assert hear(client)["type"] == "ticker"
        assert json.loads(client.recv(timeout=PATIENCE))[0]["seq_id"] == first.seq_id
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        last = gateway.publish_at_once("AAPL", 20)
        seen = []
        while not seen or seen[-1].get("seq_id") != last.seq_id:
            value = json.loads(client.recv(timeout=PATIENCE))
            seen += value if isinstance(value, list) else []
        assert len(seen) < 10


def test_a_page_hears_heartbeats_that_are_numbered_and_name_the_source(gateway):
    with gateway.connect("?heartbeat=1") as client:
        client.send('{"action":"ping"}')
        beats = [hear_kind(client, "heartbeat") for _ in range(2)]
        assert [(beat["n"], beat["source"]) for beat in beats] == [(1, "simulated"), (2, "simulated")]


def test_a_heartbeat_that_cannot_be_is_refused(gateway):
    with pytest.raises(InvalidStatus) as caught, gateway.connect("?heartbeat=99"):
        pass
    assert caught.value.response.status_code == 400


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
    with urllib.request.urlopen(request, timeout=5) as response:
        assert json.load(response) == answer
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_the_status_of_an_address_that_has_to_wait_says_how_long(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_RATE_PER_SECOND="0.01", GATEWAY_RATE_BURST="1")

    def refusal():
        with gateway.connect():
            status = json.loads(gateway.get("/ws/status")[1])
        return None if status["ok"] else status

    status = wait_until(refusal)
    assert status["reason"] == "address rate"
    assert 50 <= status["retry_after"] <= 100


def sign_in(gateway):
    """An account with a list in the gateway's database, and its session's cookie."""
    code = (
        "from django.contrib.auth import get_user_model, login\n"
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "from django.http import HttpRequest\n"
        "from watchlist.models import Watchlist\n"
        "user = get_user_model().objects.create_user('demo', password='a long and private phrase')\n"
        "request = HttpRequest(); request.session = SessionStore(); login(request, user); request.session.save()\n"
        "print(request.session.session_key, Watchlist.objects.create(owner=user, name='Main').pk)\n"
    )
    output = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", code],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": f"sqlite:///{gateway.database}"},
        capture_output=True,
        text=True,
        check=True,
    )
    key, number = output.stdout.split()
    return {"Cookie": f"sessionid={key}", "Origin": f"http://{gateway.address}"}, int(number)


def change(gateway, statement):
    with sqlite3.connect(gateway.database, timeout=5) as database:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_a_signed_in_page_hears_of_its_lists_until_it_signs_out(run_gateway, command):
    gateway = run_gateway(command)
    headers, number = sign_in(gateway)
    with (
        gateway.connect("?meta=1", additional_headers=headers) as client,
        gateway.connect("?meta=1", additional_headers=headers | {"Origin": "https://evil.example"}) as foreign,
    ):
        for socket_ in (client, foreign):
            socket_.send('{"action":"ping"}')
        assert hear_kind(foreign, "pong")
        assert hear_kind(client, "list") == {"type": "list", "id": number, "version": 1}
        change(gateway, "UPDATE watchlist_watchlist SET version = 2")
        assert hear_kind(client, "list") == {"type": "list", "id": number, "version": 2}
        change(gateway, "DELETE FROM watchlist_watchlist")
        assert hear_kind(client, "list") == {"type": "list", "id": number, "version": 0}
        change(gateway, "DELETE FROM django_session")
        change(gateway, "INSERT INTO watchlist_watchlist (name, position, version, owner_id) VALUES ('New', 0, 1, 1)")

        def hears_no_more():
            change(gateway, "UPDATE watchlist_watchlist SET version = version + 1")
            with suppress(TimeoutError):
                client.recv(timeout=2.5)
                return False
            return True

        wait_until(hears_no_more, PATIENCE)
        for socket_ in (client, foreign):
            socket_.send('{"action":"ping","id":"last"}')
            kinds = []
            while (frame := hear(socket_)).get("id") != "last":
                kinds.append(frame["type"])
            assert "list" not in kinds


def test_a_signed_in_page_is_counted_by_its_account(run_gateway):
    gateway = run_gateway("rungateway")
    headers, _ = sign_in(gateway)
    with gateway.connect("?meta=1", additional_headers=headers):
        wait_until(lambda: gateway.redis.exists("ratelimit:account:1"))
        assert not gateway.redis.exists("ratelimit:127.0.0.1")
    with gateway.connect("?meta=1", additional_headers=headers | {"Cookie": "sessionid=invented0"}):
        wait_until(lambda: gateway.redis.exists("ratelimit:127.0.0.1"))


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_a_spoofed_forwarded_address_is_ignored_and_a_trusted_proxy_is_believed(run_gateway, command):
    gateway = run_gateway(command)
    with gateway.connect(additional_headers={"X-Forwarded-For": "203.0.113.9", "Daphne-Root-Path": "/evil"}):
        wait_until(lambda: gateway.redis.exists("ratelimit:127.0.0.1"))
    trusting = run_gateway(command, GATEWAY_TRUSTED_PROXIES="127.0.0.0/8")
    with trusting.connect(additional_headers={"X-Forwarded-For": "203.0.113.9"}):
        wait_until(lambda: trusting.redis.exists("ratelimit:203.0.113.9"))


def test_a_going_gateway_gives_notice_and_spreads_the_goodbyes(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_DRAIN="1s")
    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect("?notice=1")) for _ in range(10)]
        for client in clients:
            client.send('{"action":"ping"}')
            hear(client)
        gateway.signal()
        notices = [hear(client) for client in clients]
        assert {notice["type"] for notice in notices} == {"reconnect"}
        assert len({notice["retry_after_ms"] for notice in notices}) > 1
        assert {close_code(client) for client in clients} == {4001}
    assert gateway.wait() == 0


def test_a_second_signal_ends_a_gateway_at_once(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_DRAIN="60s")
    with gateway.connect() as client:
        client.send('{"action":"ping"}')
        hear(client)
        gateway.signal()
        wait_until(lambda: "is stopping" in gateway.log.read_text())
        gateway.signal()
        assert gateway.wait() == 0
