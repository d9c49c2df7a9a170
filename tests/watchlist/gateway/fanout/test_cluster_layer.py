"""The channel layer of a real cluster, while nodes fail and slots move."""

import asyncio
from contextlib import suppress

import pytest

from feeds.store.cluster.slots import key_slot, tag_prefix
from tests.support.servers.redis_cluster import RedisCluster
from tests.support.waiting import until
from watchlist.gateway.fanout.cluster_layer import ClusterChannelLayer

SYMBOLS = [f"S{number}" for number in range(30)]


def channel_of(symbol: str) -> bytes:
    return f"{tag_prefix(symbol)}prices.{symbol}".encode()


def slot_of(symbol: str) -> int:
    return key_slot(channel_of(symbol))


class Listener:
    """Joins groups, and collects messages and events of a layer."""

    def __init__(self, cluster: RedisCluster) -> None:
        self.cluster = cluster
        self.layer = ClusterChannelLayer(**cluster.address)
        self.received: set[bytes] = set()
        self.events: list[str] = []
        self.layer.set_receiver(
            lambda channel, data: self.received.add(channel),
            lambda: self.events.append("lost"),
            lambda: self.events.append("back"),
        )

    async def join(self, *symbols: str) -> list[BaseException | None]:
        joins = [self.layer.group_add(f"prices.{symbol}", "channel") for symbol in symbols]
        return await asyncio.gather(*joins, return_exceptions=True)

    def publish(self, *symbols: str) -> None:
        """Publishes a message per symbol, if a node serves the symbol's slot."""
        for symbol in symbols:
            with suppress(OSError, Exception):
                self.cluster.owner(slot_of(symbol)).run("SPUBLISH", channel_of(symbol), b"message")

    async def wait_for(self, *symbols: str) -> None:
        """Publishes until the messages of all symbols have arrived."""
        self.received.clear()

        def has_all() -> bool:
            missing = [symbol for symbol in symbols if f"prices.{symbol}".encode() not in self.received]
            self.publish(*missing)
            return not missing

        await until(has_all, 60, "messages of all symbols")


@pytest.fixture
async def listener(redis_cluster: RedisCluster):
    listener = Listener(redis_cluster)
    yield listener
    await listener.layer.flush()


async def test_messages_of_all_nodes_arrive(listener: Listener):
    assert await listener.join(*SYMBOLS) == [None] * len(SYMBOLS)
    await listener.wait_for(*SYMBOLS)
    assert listener.events == []
    assert listener.layer.lost_nodes == []


async def test_a_dead_node_interrupts_only_its_own_symbols_until_its_replica_takes_over(listener: Listener):
    await listener.join(*SYMBOLS)
    cluster = listener.cluster
    node = cluster.owner(slot_of("S0"))
    dead = set(cluster.slots_of(node))
    cluster.kill(node)
    await until(lambda: listener.events == ["lost"])
    assert listener.layer.lost_nodes == [node.address]

    others = [symbol for symbol in SYMBOLS if slot_of(symbol) not in dead]
    await listener.wait_for(*others)
    await until(lambda: listener.events == ["lost", "back"])
    await listener.wait_for(*SYMBOLS)
    assert listener.layer.lost_nodes == []


async def test_a_symbol_of_a_dead_node_cannot_be_joined_and_others_can(listener: Listener):
    await listener.join("S0")
    cluster = listener.cluster
    node = cluster.owner(slot_of("S0"))
    dead = set(cluster.slots_of(node))
    same = next(symbol for symbol in SYMBOLS[1:] if slot_of(symbol) in dead)
    other = next(symbol for symbol in SYMBOLS if slot_of(symbol) not in dead)
    cluster.kill(node)
    await until(lambda: listener.events == ["lost"])

    assert await listener.join(other) == [None]
    [error] = await listener.join(same)
    if error is not None:  # a replica may have taken over already
        assert isinstance(error, OSError)
    await until(lambda: listener.events == ["lost", "back"])
    assert await listener.join(same) == [None]


async def test_channels_follow_a_slot_to_another_node(listener: Listener):
    await listener.join(*SYMBOLS)
    slot = slot_of("S0")
    for _ in range(2):
        listener.cluster.migrate(slot, listener.cluster.other_master(slot))
        await listener.wait_for("S0")
    assert listener.events[-1] == "back"
    assert "lost" not in listener.events
    await listener.wait_for(*SYMBOLS)


async def test_channels_follow_a_slot_to_a_node_that_was_added():
    with RedisCluster(replicas=0) as cluster:
        listener = Listener(cluster)
        await listener.join(*SYMBOLS)
        node = await asyncio.to_thread(cluster.add_node)
        cluster.migrate(slot_of("S0"), node)
        await listener.wait_for(*SYMBOLS)
        assert "lost" not in listener.events
        assert node.run("PUBSUB", "SHARDNUMSUB", channel_of("S0"))[1] == 1
        await listener.layer.flush()


async def test_a_frozen_node_is_noticed_and_replaced(listener: Listener):
    await listener.join(*SYMBOLS)
    node = listener.cluster.owner(slot_of("S0"))
    listener.cluster.freeze(node)
    try:
        await until(lambda: listener.events[-1:] == ["back"])
    finally:
        listener.cluster.thaw(node)
    await listener.wait_for(*SYMBOLS)


async def test_groups_can_be_left_and_joined_again(listener: Listener):
    await listener.join("S0", "S1")
    await listener.layer.group_discard("prices.S0", "channel")
    owner = listener.cluster.owner(slot_of("S0"))
    await until(lambda: owner.run("PUBSUB", "SHARDNUMSUB", channel_of("S0"))[1] == 0)
    await listener.wait_for("S1")
    await listener.join("S0")
    await listener.wait_for("S0", "S1")


async def test_a_cluster_that_cannot_be_reached_fails_the_join():
    layer = ClusterChannelLayer(nodes=(("127.0.0.1", 1),))
    with pytest.raises(OSError, match="no node"):
        await layer.group_add("prices.AAPL", await layer.new_channel())
    await layer.flush()
    await layer.flush()


async def test_a_group_that_is_left_and_joined_at_once_stays_subscribed(listener: Listener):
    assert await listener.join(*SYMBOLS) == [None] * len(SYMBOLS)
    await listener.layer.group_discard("prices.S0", "channel")
    assert await listener.join("S0") == [None]
    assert listener.events == []
    await listener.wait_for(*SYMBOLS)
