"""Clients that do not read or do not answer."""

import json
import sqlite3

import pytest

from tests.support.gateway.database import execute
from tests.support.gateway.process import DIRECT_SERVERS, receive_frame
from tests.support.gateway.raw_socket import CLOSE, PING, upgrade
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


@pytest.mark.parametrize("command", ["rungateway", "daphne over TLS", "daphne with timers"])
def test_a_client_that_answers_no_pings_is_closed_and_others_stay(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_TIMEOUTS_PING_PERIOD="1s", GATEWAY_TIMEOUTS_PONG_WAIT="6s")
    with gateway.connect() as healthy, upgrade(gateway) as silent:
        healthy.send('{"action":"ping"}')
        silent.send_text('{"action":"ping"}')
        opcode, payload = 0, b""
        while opcode != CLOSE:
            frame = silent.read_frame()
            assert frame, "no close frame"
            opcode, payload = frame
            if opcode == PING:
                silent.send_text('{"action":"ping"}')  # Other frames do not count as a pong.
        assert int.from_bytes(payload[:2], "big") == 4012
        receive_frame(healthy)
        healthy.send('{"action":"ping"}')
        assert receive_frame(healthy)["type"] == "pong"


@pytest.mark.parametrize("command", DIRECT_SERVERS)
def test_a_client_that_never_reads_is_dropped_and_others_miss_no_update(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_TIMEOUTS_WRITE_WAIT="1s")
    with upgrade(gateway, receive_buffer=4096) as stalled, gateway.connect() as healthy:
        stalled.send_text('["AAPL"]')
        healthy.send('["AAPL"]')
        wait_until(lambda: gateway.metric("subscriptions") == 2)
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)

        def flood():
            for _ in range(100):
                update = gateway.publish("AAPL")
                assert receive_frame(healthy)["seq_id"] == update.seq_id
            return gateway.metric('closed_total{reason="slow"}') == 1

        wait_until(flood, 60)
        wait_until(lambda: gateway.metric("connections") == 1)


@pytest.mark.parametrize("command", DIRECT_SERVERS)
def test_a_page_that_reads_late_receives_the_newest_of_each_changed_ticker(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_TIMEOUTS_WRITE_WAIT="10m")
    symbols = [f"S{number}" for number in range(1000)]
    columns = "symbol, name, base_price, volatility, decimals, active, source, native, currency"
    with sqlite3.connect(gateway.database, timeout=60) as database:
        more = (100.0, 1.0, 2, True, "simulated", "", "USD")
        rows = [(symbol, "A name of some length", *more) for symbol in symbols]
        database.executemany(f"INSERT INTO feeds_ticker ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    database.close()
    subscribe = json.dumps({"action": "subscribe", "payload": {"symbols": symbols}}).encode()
    with gateway.connect("?meta=1") as witness, upgrade(gateway, path="/ws?meta=1", receive_buffer=4096) as late:
        witness.send('["S999"]')
        late.send_text(subscribe)
        wait_until(lambda: gateway.metric("subscriptions") == 1001)
        for base in range(1, 8):
            execute(gateway, f"UPDATE feeds_ticker SET base_price = {base}")
            while receive_frame(witness).get("base") != base:
                pass
        late.send_text('{"action":"ping","id":"alive"}')
        bases, count = {}, 0
        while set(bases.values()) != {7.0} or len(bases) < len(symbols):
            frame = json.loads(late.read_text())
            if frame["type"] == "ticker":
                bases[frame["symbol"]] = frame["base"]
                count += 1
        assert count < 4 * len(symbols), "older state messages were kept"
    assert gateway.metric('closed_total{reason="slow"}') == 0
