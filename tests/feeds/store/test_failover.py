"""Clients of an address behind which another server becomes the master, as after a failover."""

import asyncio
from collections.abc import Iterator

import pytest
import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from feeds.errors import StoreUnavailable
from feeds.store.connection import PIPELINE, Script, connect, connect_async, connect_subscriber
from stockwatch.local.redis_server import RedisServer
from tests.support.proxies.redis_proxy import RedisProxy
from tests.support.waiting import wait_until


class Failover:
    """Two servers behind one address. `switch` makes the first a replica of the second and lets the address lead there.

    Connections to the first stay open.
    """

    def __init__(self, first: RedisServer, second: RedisServer) -> None:
        self.first, self.second = first, second
        self.proxy = RedisProxy((first.host, first.port))
        host, port = self.proxy.address.split(":")
        self.address = {"host": host, "port": int(port)}

    def switch(self) -> None:
        with redis.Redis(host=self.first.host, port=self.first.port) as client:
            client.replicaof(self.second.host, str(self.second.port))
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        self.proxy.target = (self.second.host, self.second.port)

    def value(self, key: str) -> bytes | None:
        """Returns a value in the new master."""
        with redis.Redis(host=self.second.host, port=self.second.port) as client:
            return client.get(key)


@pytest.fixture
def failover() -> Iterator[Failover]:
    with RedisServer() as first, RedisServer() as second:
        failover = Failover(first, second)
        yield failover
        failover.proxy.close()


def test_a_command_a_script_and_a_pipeline_reach_the_new_master(failover: Failover):
    client = connect(failover.address, PIPELINE)
    script = Script(client, "return redis.call('INCR', KEYS[1])")
    assert client.set("a", 1)
    assert script(["b"], []) == 1
    failover.switch()

    assert client.set("a", 2)
    assert script(["b"], []) >= 1
    assert client.pipeline(transaction=False).set("c", 3).set("d", 4).execute() == [True, True]
    assert [failover.value(key) for key in "acd"] == [b"2", b"3", b"4"]
    client.close()


def test_an_asyncio_client_reaches_the_new_master(failover: Failover):
    async def write() -> None:
        client = connect_async(failover.address)
        assert await client.set("a", 1)
        await asyncio.to_thread(failover.switch)
        assert await client.set("a", 2)
        await client.aclose()

    asyncio.run(write())
    assert failover.value("a") == b"2"


def test_a_client_of_the_channel_layer_leaves_a_replica_and_sees_the_loss(failover: Failover):
    async def publish() -> None:
        client = connect_subscriber(failover.address | {"protocol": 2}, Retry(NoBackoff(), 0))
        assert await client.set("a", 1)
        await asyncio.to_thread(failover.switch)
        with pytest.raises(redis.ConnectionError, match="not the master"):
            await client.set("a", 2)
        assert await client.set("a", 3)
        await client.connection_pool.disconnect()

    asyncio.run(publish())
    assert failover.value("a") == b"3"


def test_a_server_that_stays_a_replica_is_an_outage(failover: Failover):
    client = connect({"host": failover.first.host, "port": failover.first.port}, PIPELINE)
    script = Script(client, "return redis.call('SET', KEYS[1], 1)")
    script(["a"], [])
    failover.switch()

    with pytest.raises(StoreUnavailable, match="NotMaster: the server is not the master"):
        script(["a"], [])
    client.close()


def test_a_replica_that_has_lost_its_master_is_an_outage_for_readers(failover: Failover):
    client = connect({"host": failover.first.host, "port": failover.first.port}, PIPELINE)
    client.config_set("replica-serve-stale-data", "no")
    failover.switch()
    failover.second.kill()
    wait_until(lambda: client.info("replication")["master_link_status"] == "down")

    with pytest.raises(redis.ConnectionError, match="not the master"):
        client.mget(["a", "b"])
    client.close()
