"""The contract of price layers, for those on Redis, on a cluster and on a relay, and for the fake of the tests."""

import pytest

from feeds.store.cluster.slots import key_slot, tag_prefix
from feeds.wire import channel_symbol
from tests.support.gateway.fakes import FakePriceLayer
from tests.support.gateway.relay import LocalRelay
from tests.support.waiting import until
from watchlist.gateway.counts import RelayCounts
from watchlist.gateway.fanout.channel_layer import PricesChannelLayer
from watchlist.gateway.fanout.cluster_layer import ClusterChannelLayer
from watchlist.gateway.relay.layer import RelayLayer


class RealRedis:
    """The real layer, and the side of Redis."""

    def __init__(self, server, client):
        self.layer = PricesChannelLayer(hosts=[{"host": server.host, "port": server.port, "protocol": 2}])
        self._client = client

    def publish(self, group, data):
        return self._client.publish(group, data)

    def interrupt(self):
        self._client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


class RealCluster:
    """The layer for a cluster, and the side of Redis."""

    def __init__(self, cluster):
        self.layer = ClusterChannelLayer(**cluster.address)
        self._cluster = cluster

    def publish(self, group, data):
        channel = (tag_prefix(channel_symbol(group)) + group).encode()
        return self._cluster.owner(key_slot(channel)).run("SPUBLISH", channel, data)

    def interrupt(self):
        for node in self._cluster.nodes:
            node.run("CLIENT", "KILL", "TYPE", "pubsub")


class RelayedRedis(RealRedis):
    """The layer that uses a relay, and the side of Redis."""

    def __init__(self, server, client, relay):
        super().__init__(server, client)
        self.layer = RelayLayer(relay.path, self.layer, RelayCounts())


class FakeRedis:
    """The fake layer, and the side of Redis."""

    def __init__(self):
        self.layer = FakePriceLayer()

    def publish(self, group, data):
        return self.layer.publish(group, data)

    def interrupt(self):
        self.layer.disconnect()
        self.layer.reconnect()


@pytest.fixture
async def relay(redis_server):
    relay = LocalRelay(redis_server)
    yield relay
    await relay.close()
    relay.remove()


@pytest.fixture(params=["real", "cluster", "relay", "fake"])
async def redis_side(request, relay):
    if request.param == "relay":
        client = request.getfixturevalue("redis_client")
        side = RelayedRedis(request.getfixturevalue("redis_server"), client, await relay.start())
    elif request.param == "real":
        side = RealRedis(request.getfixturevalue("redis_server"), request.getfixturevalue("redis_client"))
    else:
        side = FakeRedis() if request.param == "fake" else RealCluster(request.getfixturevalue("redis_cluster"))
    yield side
    await side.layer.flush()


async def attach(layer):
    """Returns the channel, and the lists of messages and of connection events."""
    messages, events = [], []
    channel = await layer.new_channel()
    layer.set_receiver(
        lambda *message: messages.append(message), lambda: events.append("lost"), lambda: events.append("back")
    )
    return channel, messages, events


async def test_messages_of_joined_groups_reach_the_receiver_with_their_redis_channel(redis_side):
    channel, messages, _ = await attach(redis_side.layer)
    await redis_side.layer.group_add("prices.BTC/USD", channel)
    assert redis_side.publish("prices.BTC/USD", b"1") == 1
    assert redis_side.publish("prices.AAPL", b"2") == 0
    await until(lambda: messages)
    assert messages == [(b"prices.BTC/USD", b"1")]


async def test_a_group_that_was_left_sends_no_messages(redis_side):
    channel, messages, _ = await attach(redis_side.layer)
    await redis_side.layer.group_add("prices.AAPL", channel)
    await redis_side.layer.group_add("prices.GOOG", channel)
    await redis_side.layer.group_discard("prices.AAPL", channel)
    await until(lambda: redis_side.publish("prices.AAPL", b"1") == 0)
    redis_side.publish("prices.GOOG", b"2")
    await until(lambda: (b"prices.GOOG", b"2") in messages)
    assert (b"prices.AAPL", b"1") not in messages


async def test_a_lost_connection_is_reported_once_and_all_groups_are_joined_again(redis_side):
    channel, messages, events = await attach(redis_side.layer)
    await redis_side.layer.group_add("prices.AAPL", channel)
    redis_side.interrupt()
    await until(lambda: events == ["lost", "back"])
    await until(lambda: redis_side.publish("prices.AAPL", b"1") == 1)
    await until(lambda: messages)
    assert messages[0] == (b"prices.AAPL", b"1")
