"""Updates and frames on the way from Redis to a client, under each server."""

import json
from contextlib import ExitStack

import pytest

from feeds import wire
from tests.support.gateway.database import execute
from tests.support.gateway.process import (
    FRAME_TIMEOUT_SECONDS,
    SERVERS,
    SYMBOLS,
    receive_frame,
    receive_frame_of_type,
)
from tests.support.gateway.sessions import ticker_frame
from tests.support.times import at
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


@pytest.fixture(scope="module", params=SERVERS)
def gateway(run_gateway, request):
    return run_gateway(request.param, GATEWAY_ALLOWED_ORIGINS="https://prices.example", GATEWAY_MAX_SYMBOLS="5")


def test_a_client_receives_the_newest_updates_then_every_later_one_unchanged(gateway):
    first, second = gateway.publish("AAPL"), gateway.publish("GOOG")
    with gateway.connect() as client:
        client.send('["AAPL","GOOG"]')
        assert {client.recv(timeout=FRAME_TIMEOUT_SECONDS), client.recv(timeout=FRAME_TIMEOUT_SECONDS)} == {
            wire.encode(first).decode(),
            wire.encode(second).decode(),
        }
        for _ in range(50):
            update = gateway.publish("AAPL")
            assert client.recv(timeout=FRAME_TIMEOUT_SECONDS) == wire.encode(update).decode()


def test_in_action_mode_the_ack_comes_before_the_first_update(gateway):
    update = gateway.publish("AAPL")
    with gateway.connect() as client:
        client.send('{"action":"subscribe","payload":{"symbols":["AAPL"]},"id":"1"}')
        assert receive_frame(client)["message"] == "Subscribed to [AAPL]"
        assert receive_frame(client)["seq_id"] == update.seq_id


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_symbols_with_special_characters_work(gateway, symbol):
    with gateway.connect() as client:
        client.send(json.dumps({"action": "subscribe", "payload": {"symbols": [symbol]}}))
        assert receive_frame(client)["symbols"] == [symbol]
        wait_until(lambda: gateway.redis.pubsub_numsub(f"prices.{symbol}")[0][1] == 1)
        update = gateway.publish(symbol)
        assert receive_frame(client) == {
            "symbol": symbol,
            "price": 100.0,
            "timestamp": update.timestamp,
            "seq_id": update.seq_id,
        }


def test_published_bytes_arrive_unchanged(gateway):
    payload = f'{{ "timestamp": {at(99)}, "seq_id":1, "price":1.50, "symbol":"TSLA","venue":"elsewhere" }}'
    with gateway.connect() as client:
        client.send('["TSLA"]')
        wait_until(lambda: gateway.metric("subscriptions") == 1)
        wait_until(lambda: gateway.redis.publish("prices.TSLA", payload) == 1)
        assert client.recv(timeout=FRAME_TIMEOUT_SECONDS) == payload


def test_a_process_subscribes_once_per_symbol_until_its_last_client_leaves(gateway):
    def count_subscribers():
        return gateway.redis.pubsub_numsub("prices.^GSPC")[0][1]

    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in range(5)]
        for client in clients:
            client.send('["^GSPC"]')
        wait_until(lambda: gateway.metric("subscriptions") == 5)
        wait_until(lambda: count_subscribers() == 1)
        for client in clients[1:]:
            client.close()
        wait_until(lambda: gateway.metric("subscriptions") == 1)
        assert count_subscribers() == 1
    wait_until(lambda: count_subscribers() == 0)


def test_a_page_receives_batches_at_its_acknowledged_rate(gateway):
    first = gateway.publish("AAPL")
    with gateway.connect("?batch=1&heartbeat=60&meta=1&notice=1") as client:
        options = {"max_hz": 4}
        client.send(json.dumps({"action": "subscribe", "payload": {"symbols": ["AAPL"], "options": options}}))
        assert receive_frame(client)["options"] == {"mode": "latest", "max_hz": 4.0, "snapshot": True}
        assert receive_frame(client)["type"] == "ticker"
        assert json.loads(client.recv(timeout=FRAME_TIMEOUT_SECONDS))[0]["seq_id"] == first.seq_id
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        last = gateway.publish_burst("AAPL", 20)
        seen = []
        while not seen or seen[-1].get("seq_id") != last.seq_id:
            value = json.loads(client.recv(timeout=FRAME_TIMEOUT_SECONDS))
            seen += value if isinstance(value, list) else []
        assert len(seen) < 10


def test_heartbeats_are_numbered_and_name_the_source(gateway):
    with gateway.connect("?heartbeat=1") as client:
        client.send('{"action":"ping"}')
        frames = [receive_frame_of_type(client, "heartbeat") for _ in range(2)]
        assert [(frame["n"], frame["source"]) for frame in frames] == [(1, "simulated"), (2, "simulated")]


def test_a_cut_subscription_does_not_lose_the_last_update(gateway):
    with gateway.connect() as client:
        client.send('["AAPL"]')
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        losses = gateway.metric("channel_layer_losses_total")
        gateway.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        update = gateway.publish("AAPL")
        assert receive_frame(client)["seq_id"] == update.seq_id
        assert gateway.metric("channel_layer_losses_total") == losses + 1


def test_metrics_count_received_and_sent_updates(gateway):
    before = gateway.metric("updates_out_total")
    with gateway.connect() as client:
        client.send('["AAPL"]')
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        update = gateway.publish("AAPL")
        receive_frame(client)
        assert gateway.metric("updates_out_total") == before + 1
        assert gateway.metric("end_to_end_seconds_count") > 0
        assert gateway.metric("newest_update_timestamp_seconds") == pytest.approx(update.timestamp / 1e6)


def test_a_base_price_that_changes_in_the_database_reaches_an_open_page(gateway):
    with gateway.connect("?meta=1") as client:
        client.send('{"action":"subscribe","payload":{"symbols":["BRK.B"]}}')
        assert receive_frame(client)["type"] == "ack"
        assert receive_frame(client)["base"] == 100.0
        execute(gateway, "UPDATE feeds_ticker SET base_price = 250 WHERE symbol = 'BRK.B'")
        assert receive_frame(client) == ticker_frame("BRK.B", "BRK.B", 250.0)


def test_an_inactive_ticker_cannot_be_subscribed(gateway):
    execute(gateway, "UPDATE feeds_ticker SET active = 0 WHERE symbol = 'EURUSD=X'")

    def is_unknown():
        with gateway.connect() as client:
            client.send('{"action":"subscribe","payload":{"symbols":["EURUSD=X"]}}')
            return receive_frame(client).get("code") == 404

    wait_until(is_unknown)
