"""The gateway during outages of Redis and of the database."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import redis
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.gateway.process import GatewayProcess, receive_frame, receive_frame_of_type
from tests.support.proxies.black_hole import BlackHoleProxy
from tests.support.proxies.delay_proxy import DelayProxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


@contextmanager
def subscribed(gateway: GatewayProcess, client_of_redis: redis.Redis, query: str = "") -> Iterator[ClientConnection]:
    """A client of the gateway that has subscribed to AAPL, after the gateway itself has subscribed."""
    with gateway.connect(query) as client:
        client.send('["AAPL"]')
        wait_until(lambda: client_of_redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        yield client


@pytest.mark.parametrize("command", ["rungateway", "daphne", "uvicorn"])
def test_sockets_survive_a_restart_of_redis_and_receive_updates_again(run_gateway, command):
    with RedisServer() as server:
        gateway = run_gateway(command, server=server)
        with subscribed(gateway, gateway.redis) as client:
            gateway.publish("AAPL")
            receive_frame(client)
            server.kill()
            wait_until(lambda: gateway.get("/readyz")[0] == 503)
            assert json.loads(gateway.get("/readyz")[1])["down"] == ["redis"]
            assert gateway.get("/livez")[0] == 200
            with gateway.connect() as other:
                other.send('{"action":"subscribe","payload":{"symbols":["GOOG"]}}')
                assert receive_frame(other)["type"] == "ack"
                server.start()
                wait_until(lambda: gateway.redis.pubsub_numsub("prices.GOOG")[0][1] == 1)
                update = gateway.publish("GOOG")
                assert receive_frame(other)["seq_id"] == update.seq_id
            wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
            update = gateway.publish("AAPL")
            assert receive_frame(client)["seq_id"] == update.seq_id
            assert gateway.metric("channel_layer_losses_total") == 1
        assert "Traceback" not in gateway.log.read_text()
        gateway.stop()


def test_a_subscription_whose_bytes_are_swallowed_is_counted_logged_and_replaced(run_gateway, redis_server):
    with BlackHoleProxy((redis_server.host, redis_server.port)) as proxy:
        gateway = run_gateway(server=proxy)
        writer = run_gateway()  # reaches Redis without the proxy
        with subscribed(gateway, writer.redis) as client:
            proxy.swallow()
            wait_until(lambda: gateway.metric("channel_layer_losses_total") == 1)
            wait_until(lambda: gateway.metric("channel_layer_connected") == 1)
            update = writer.publish("AAPL")
            assert receive_frame(client)["seq_id"] == update.seq_id
        assert "no reply to a ping" in gateway.log.read_text()
        gateway.stop()


def test_while_new_connections_are_swallowed_too_the_gateway_is_not_ready(run_gateway, redis_server):
    with BlackHoleProxy((redis_server.host, redis_server.port)) as proxy:
        gateway = run_gateway(server=proxy)
        writer = run_gateway()
        with subscribed(gateway, writer.redis):
            proxy.stall(catch_new=True)
            wait_until(lambda: gateway.metric("channel_layer_connected") == 0)
            assert gateway.get("/readyz")[0] == 503
            with gateway.connect() as other:
                other.send('{"action":"subscribe","payload":{"symbols":["GOOG"]}}')
                assert receive_frame_of_type(other, "ack")
                proxy.recover()
                wait_until(lambda: gateway.get("/readyz")[0] == 200)
                update = writer.publish("GOOG")
                assert receive_frame(other)["seq_id"] == update.seq_id
        assert "Traceback" not in gateway.log.read_text()
        gateway.stop()


def test_heartbeats_tell_the_age_of_prices_that_a_slow_redis_delays(run_gateway, redis_server):
    with DelayProxy((redis_server.host, redis_server.port)) as proxy:
        gateway = run_gateway(server=proxy)
        writer = run_gateway()  # reaches Redis without the proxy
        with subscribed(gateway, writer.redis, "?heartbeat=1") as client:
            proxy.delay = 0.25
            ages, published, received = [], [], []
            while len(ages) < 3:
                writer.sequence = time.time_ns() // 1000  # the timestamp of the update
                published.append(writer.publish("AAPL").seq_id)
                while (frame := receive_frame(client)).get("type") == "heartbeat":
                    ages += [frame["feed_age_ms"]] if received else []
                received.append(frame["seq_id"])
        assert received == published
        assert min(ages) >= 200
        assert gateway.metric("channel_layer_losses_total") == 0
        gateway.stop()


def test_open_and_new_sockets_miss_no_update_while_the_database_file_is_locked(run_gateway):
    gateway = run_gateway()
    locking = sqlite3.connect(gateway.database, isolation_level=None)
    with closing(locking) as database, subscribed(gateway, gateway.redis) as client:
        database.execute("BEGIN EXCLUSIVE")
        with gateway.connect() as other:
            other.send('["GOOG"]')
            wait_until(lambda: gateway.redis.pubsub_numsub("prices.GOOG")[0][1] == 1)
            for symbol, socket in (("AAPL", client), ("GOOG", other)) * 50:
                update = gateway.publish(symbol)
                assert receive_frame(socket)["seq_id"] == update.seq_id
        assert gateway.get("/")[0] == 200
        database.execute("ROLLBACK")
    assert "Traceback" not in gateway.log.read_text()


def test_without_a_database_the_gateway_is_not_ready_and_refuses_clients(run_gateway):
    gateway = run_gateway("rungateway", DATABASE_URL=f"postgres://nobody@127.0.0.1:{free_port()}/none")
    status, text = gateway.get("/readyz")
    assert (status, json.loads(text)["down"]) == (503, ["database"])
    with pytest.raises(InvalidStatus) as caught, gateway.connect():
        pass
    assert caught.value.response.status_code == 503
    assert "Traceback" not in gateway.log.read_text()
