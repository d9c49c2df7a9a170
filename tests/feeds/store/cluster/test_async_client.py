"""Asyncio clients of a real cluster, while nodes fail and slots move."""

import pytest
import redis
from redis.exceptions import ClusterDownError

from feeds.store.cluster.slots import key_slot
from feeds.store.connection import connect_async
from feeds.store.keys import first_error, raise_first_error, read_many_async
from tests.support.servers.redis_cluster import RedisCluster
from tests.support.waiting import until

KEYS = [f"key-{number}" for number in range(60)]
VALUES = [key.encode() for key in KEYS]


@pytest.fixture
async def client(redis_cluster: RedisCluster):
    client = connect_async(redis_cluster.address)
    for key in KEYS:
        assert await client.set(key, key)
    yield client
    await client.aclose()


async def test_commands_reads_and_registered_scripts_reach_the_nodes_of_their_keys(client):
    script = client.register_script("return redis.call('APPEND', KEYS[1], ARGV[1])")
    assert await read_many_async(client, KEYS) == VALUES
    assert [await script(keys=[key], args=["!"]) for key in KEYS] == [len(key) + 1 for key in KEYS]
    assert await client.mget(["{key-0}.a", "{key-0}.b"]) == [None, None]
    assert await read_many_async(client, []) == []


async def test_a_client_follows_a_slot_to_another_node(redis_cluster: RedisCluster, client):
    slot = key_slot(b"key-0")
    target = redis_cluster.other_master(slot)
    source = redis_cluster.begin_migration(slot, target)
    redis_cluster.move_keys(slot, source, target)
    assert await client.get("key-0") == b"key-0"
    assert await read_many_async(client, KEYS) == VALUES
    redis_cluster.end_migration(slot, source, target)
    assert await read_many_async(client, KEYS) == VALUES
    redis_cluster.migrate(slot, source)
    assert await client.get("key-0") == b"key-0"


async def test_a_dead_node_affects_only_its_own_keys_until_its_replica_takes_over(redis_cluster: RedisCluster, client):
    node = redis_cluster.owner(key_slot(b"key-0"))
    slots = set(redis_cluster.slots_of(node))
    redis_cluster.kill(node)

    values = await read_many_async(client, KEYS)
    for key, value in zip(KEYS, values, strict=True):
        assert isinstance(value, redis.RedisError) == (key_slot(key.encode()) in slots)
    with pytest.raises(redis.RedisError):
        raise_first_error(values)
    with pytest.raises(redis.RedisError):
        await client.get("key-0")

    async def has_recovered() -> bool:
        return first_error(await read_many_async(client, KEYS)) is None

    for _ in range(6_000):
        if await has_recovered():
            break
        await until(lambda: True)
    assert await read_many_async(client, KEYS) == VALUES


async def test_a_slot_without_a_node_and_unreachable_seeds_are_errors(client):
    client.slots._owners[key_slot(b"key-0")] = None
    client._refreshed_at = float("inf")
    with pytest.raises(ClusterDownError):
        await client.get("key-0")
    nowhere = connect_async({"nodes": (("127.0.0.1", 1), ("127.0.0.1", 2)), "password": None})
    with pytest.raises(redis.ConnectionError):
        await nowhere.get("key")
    assert isinstance((await nowhere.run_commands([("GET", "key")]))[0], redis.RedisError)
    await nowhere.aclose()
