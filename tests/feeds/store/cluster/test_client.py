"""Clients of a real cluster, while nodes fail and slots move."""

import pytest
import redis
from redis.exceptions import ClusterDownError

from feeds.errors import StoreUnavailable
from feeds.store.cluster.slots import key_slot
from feeds.store.connection import PIPELINE, PROBE, Script, connect
from feeds.store.keys import first_error, read_many
from stockwatch.local.redis_server import RedisServer
from tests.support.servers.redis_cluster import ClusterNode, RedisCluster
from tests.support.waiting import wait_until

KEYS = [f"key-{number}" for number in range(60)]


@pytest.fixture
def client(redis_cluster: RedisCluster):
    with connect(redis_cluster.address, PIPELINE) as client:
        yield client


def store_all(client: redis.Redis) -> None:
    pipe = client.pipeline()
    for key in KEYS:
        pipe.set(key, key)
    assert pipe.execute() == [True] * len(KEYS)


def keys_of(cluster: RedisCluster, node: ClusterNode) -> list[str]:
    slots = set(cluster.slots_of(node))
    return [key for key in KEYS if key_slot(key.encode()) in slots]


def test_a_client_connects_only_when_it_is_used():
    connect({"nodes": (("127.0.0.1", 1),), "password": None}).close()


def test_commands_and_scripts_reach_the_node_of_their_key(client):
    script = Script(client, "return redis.call('INCR', KEYS[1])")
    assert [client.set(key, 1) for key in KEYS] == [True] * len(KEYS)
    assert [script([key], []) for key in KEYS] == [2] * len(KEYS)
    assert client.ping()


def test_one_read_and_one_pipeline_reach_all_nodes(client):
    store_all(client)
    expected = [key.encode() for key in KEYS]
    assert client.mget(KEYS) == read_many(client, KEYS) == expected
    assert client.pipeline().get("key-1").mget(["key-2", "missing"]).execute() == [b"key-1", [b"key-2", None]]
    assert sorted(client.scan_iter(match="key-*")) == sorted(expected)
    assert read_many(client, []) == []


def test_a_pipeline_raises_or_returns_the_error_of_one_command(client):
    client.set("text", "no number")
    with pytest.raises(redis.ResponseError):
        client.pipeline().incr("text").mget(KEYS).execute()
    error, values = client.pipeline().incr("text").mget(KEYS).execute(raise_on_error=False)
    assert isinstance(error, redis.ResponseError)
    assert values == [None] * len(KEYS)


def test_a_script_runs_once_per_call_also_on_nodes_that_do_not_know_it(client):
    script = Script(client, "return redis.call('INCRBY', KEYS[1], ARGV[1])")
    calls = [([key], [2]) for key in KEYS]
    assert script.call_each(calls) == [2] * len(KEYS)
    assert script.call_each(calls) == [4] * len(KEYS)


def test_a_client_follows_a_slot_to_another_node(redis_cluster: RedisCluster, client):
    store_all(client)
    slot = key_slot(b"key-0")
    target = redis_cluster.other_master(slot)
    redis_cluster.migrate(slot, target)

    assert client.get("key-0") == b"key-0"
    assert client.mget(KEYS) == [key.encode() for key in KEYS]


def test_keys_are_read_and_written_while_their_slot_is_half_moved(redis_cluster: RedisCluster, client):
    script = Script(client, "return redis.call('INCR', KEYS[1])")
    keys = [f"{{key-0}}.{number}" for number in range(6)]
    for key in keys[:3]:
        client.set(key, 1)
    slot = key_slot(b"key-0")
    target = redis_cluster.other_master(slot)
    source = redis_cluster.begin_migration(slot, target)
    redis_cluster.move_keys(slot, source, target, count=1)

    assert script.call_each(([key], []) for key in keys) == [2, 2, 2, 1, 1, 1]
    assert [int(client.get(key) or 0) for key in keys] == [2, 2, 2, 1, 1, 1]
    redis_cluster.end_migration(slot, source, target)
    assert [int(value or 0) for value in client.mget(keys)] == [2, 2, 2, 1, 1, 1]


def test_a_dead_node_affects_only_its_own_keys_until_its_replica_takes_over(redis_cluster: RedisCluster, client):
    store_all(client)
    node = redis_cluster.owner(key_slot(b"key-0"))
    lost = keys_of(redis_cluster, node)
    assert 0 < len(lost) < len(KEYS)
    redis_cluster.kill(node)

    values = read_many(client, KEYS)
    assert {key for key, value in zip(KEYS, values, strict=True) if value == key.encode()} == set(KEYS) - set(lost)
    assert isinstance(first_error(values), redis.ConnectionError)
    with pytest.raises(redis.RedisError):
        client.mget(KEYS)
    with pytest.raises(redis.RedisError):
        client.ping()
    wait_until(lambda: first_error(read_many(client, KEYS)) is None, 60, "a replica takes over")
    assert client.mget(KEYS) == [key.encode() for key in KEYS]


def test_a_server_without_a_cluster_is_refused(redis_server: RedisServer):
    client = connect({"nodes": ((redis_server.host, redis_server.port),), "password": None}, PROBE)
    with pytest.raises(redis.RedisError, match="cluster support disabled"):
        client.get("key")
    with pytest.raises(StoreUnavailable, match="cluster support disabled"):
        Script(client, "return 1")(["key"], [])
    client.close()


def test_a_node_of_a_cluster_is_not_taken_for_one_server(redis_cluster: RedisCluster):
    node = redis_cluster.other_master(key_slot(b"key"))
    client = connect({"host": node.host, "port": node.port}, PROBE)
    with pytest.raises(StoreUnavailable, match="set REDIS_CLUSTER=true"):
        Script(client, "return 1")(["key"], [])
    client.close()


def test_a_slot_without_a_node_is_an_error(redis_cluster: RedisCluster, client):
    client.ping()
    client.slots._owners[key_slot(b"key-0")] = None
    client._refreshed_at = float("inf")
    with pytest.raises(ClusterDownError):
        client.get("key-0")
    assert isinstance(first_error(read_many(client, KEYS)), ClusterDownError)
