"""The states of an exchange reach the clients of a gateway: runfeed, Redis and gateway are real."""

import json
import os
from pathlib import Path

import redis

from feeds.kafka.embedded import EmbeddedCluster
from stockwatch.local.redis_server import RedisServer
from tests.exchanges.kraken import KrakenExchange
from tests.support.feeder.process import add_tickers, set_source
from tests.support.gateway.process import receive_frame_of_type
from tests.support.servers.commands import Command


def wait_for_state(client, state):
    while (frame := receive_frame_of_type(client, "feed"))["state"] != state:
        pass
    return frame


def test_clients_follow_the_state_of_an_exchange(
    run_gateway, redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
):
    gateway = run_gateway("rungateway")
    set_source(gateway.database, "BTC/USD", "kraken")
    add_tickers(gateway.database, "kraken", "NOPE/USD")
    with EmbeddedCluster() as cluster, KrakenExchange(["BTC/USD"]) as exchange, gateway.connect("?meta=1") as client:
        assert wait_for_state(client, "reconnecting")["reason"] == "runfeed is not running"
        environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{gateway.database}",
            "REDIS_ADDR": redis_server.address,
            "KAFKA_BROKERS": cluster.addresses,
            **exchange.settings(),
        }
        client.send('{"action":"ping"}')
        feed = Command("runfeed", environment, tmp_path / "runfeed.log", "kraken")
        try:
            frame = wait_for_state(client, "connected")
            while "NOPE/USD" not in frame["symbols"]["unknown"]:
                frame = receive_frame_of_type(client, "feed")
            assert frame["title"] == "Kraken"
            assert json.loads(gateway.get("/readyz")[1])["sources"]["kraken"]["state"] == "connected"
            exchange.set_fault("country_refused")
            exchange.cut()
            assert "451" in wait_for_state(client, "refused")["reason"]
            assert feed.end() == 0
            while frame["reason"] != "runfeed is not running":
                frame = wait_for_state(client, "reconnecting")
        finally:
            feed.process.kill()
            feed.process.wait()
