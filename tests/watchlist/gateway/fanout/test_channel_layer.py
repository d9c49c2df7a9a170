import asyncio

import pytest
from asgiref.sync import async_to_sync
from redis.exceptions import RedisError

from stockwatch.local.redis_server import RedisServer
from tests.support.proxies.black_hole import BlackHoleProxy
from tests.support.waiting import until
from watchlist.gateway.fanout.channel_layer import PricesChannelLayer


def make_layer(server):
    return PricesChannelLayer(hosts=[{"host": server.host, "port": server.port, "protocol": 2}])


class Listener:
    """A layer whose receiver keeps all messages."""

    def __init__(self, server):
        self.layer = make_layer(server)
        self.messages = []
        self.disconnects = 0
        self.reconnects = 0

    async def __aenter__(self):
        self.channel = await self.layer.new_channel()
        self.layer.set_receiver(self.receive, self.count_disconnect, self.count_reconnect)
        return self

    async def __aexit__(self, *_):
        await self.layer.flush()

    def receive(self, channel, data):
        self.messages.append((channel, data))

    def count_disconnect(self):
        self.disconnects += 1

    def count_reconnect(self):
        self.reconnects += 1

    async def join(self, *groups):
        for group in groups:
            await self.layer.group_add(group, self.channel)


@pytest.fixture
def own_server():
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X", "RDS-A"])
async def test_a_group_is_the_redis_channel_of_the_same_name(redis_server, redis_client, symbol):
    async with Listener(redis_server) as listener:
        await listener.join(f"prices.{symbol}")
        assert redis_client.publish(f"prices.{symbol}", b"\x00raw bytes") == 1
        await until(lambda: listener.messages)
        assert listener.messages == [(f"prices.{symbol}".encode(), b"\x00raw bytes")]


async def test_joining_returns_when_redis_has_confirmed(redis_server, redis_client):
    async with Listener(redis_server) as listener:
        await asyncio.gather(*(listener.join(f"prices.S{number}") for number in range(200)))
        assert all(redis_client.publish(f"prices.S{number}", b"x") == 1 for number in range(200))
        await until(lambda: len(listener.messages) == 200)


async def test_without_a_receiver_messages_are_read_with_receive(redis_server, redis_client):
    layer = make_layer(redis_server)
    channel = await layer.new_channel()
    await layer.group_add("prices.AAPL", channel)
    redis_client.publish("prices.AAPL", b"one")
    assert await layer.receive(channel) == b"one"
    await layer.flush()


async def test_a_message_to_a_channel_does_not_go_to_the_receiver(redis_server):
    async with Listener(redis_server) as listener:
        await listener.layer.send(listener.channel, b"direct")
        assert await listener.layer.receive(listener.channel) == b"direct"
        assert listener.messages == []


def test_any_thread_can_send_to_a_group(redis_server, redis_client):
    watcher = redis_client.pubsub()
    watcher.subscribe("prices.AAPL")
    assert watcher.get_message(timeout=60)["type"] == "subscribe"
    layer = make_layer(redis_server)
    async_to_sync(layer.group_send)("prices.AAPL", b"sent")
    assert watcher.get_message(timeout=60)["data"] == b"sent"
    watcher.close()


async def test_a_burst_arrives_completely_and_in_order(redis_server, redis_client):
    async with Listener(redis_server) as listener:
        await listener.join("prices.AAPL")
        pipe = redis_client.pipeline(transaction=False)
        for number in range(5000):
            pipe.publish("prices.AAPL", b"%d" % number)
        pipe.execute()
        await until(lambda: len(listener.messages) == 5000)
        assert [int(data) for _, data in listener.messages] == list(range(5000))


async def test_a_cut_connection_is_reported_and_reconnected_with_all_groups(redis_server, redis_client):
    async with Listener(redis_server) as listener:
        await listener.join("prices.AAPL", "prices.GOOG")
        redis_client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: listener.reconnects == 1)
        assert listener.disconnects == 1
        for group in ("prices.AAPL", "prices.GOOG"):
            await until(lambda group=group: redis_client.publish(group, b"again") == 1)
        await until(lambda: {data for _, data in listener.messages} == {b"again"})


async def test_groups_that_were_left_under_load_are_not_joined_again_on_reconnect(redis_server, redis_client):
    async with Listener(redis_server) as listener:
        groups = [f"prices.S{number}" for number in range(50)]
        await listener.join(*groups)
        pipe = redis_client.pipeline(transaction=False)
        for number in range(2000):
            pipe.publish(groups[number % 50], b"load")
        pipe.execute()
        for group in groups[10:]:
            await listener.layer.group_discard(group, listener.channel)
        redis_client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: listener.reconnects == 1)
        await until(lambda: all(count == 1 for _, count in redis_client.pubsub_numsub(*groups[:10])))
        assert all(count == 0 for _, count in redis_client.pubsub_numsub(*groups[10:]))


async def test_the_layer_reconnects_to_a_restarted_redis(own_server):
    async with Listener(own_server) as listener:
        await listener.join("prices.AAPL", "prices.GOOG")
        own_server.kill()
        await until(lambda: listener.disconnects == 1)
        await listener.layer.group_discard("prices.GOOG", listener.channel)
        with pytest.raises(RedisError):
            await listener.join("prices.TSLA")
        await asyncio.to_thread(own_server.start)
        await until(lambda: listener.reconnects == 1)
        await listener.join("prices.TSLA")
        await listener.layer.group_send("prices.AAPL", b"1")
        await listener.layer.group_send("prices.GOOG", b"2")
        await listener.layer.group_send("prices.TSLA", b"3")
        await until(lambda: len(listener.messages) == 2)
        assert listener.messages == [(b"prices.AAPL", b"1"), (b"prices.TSLA", b"3")]


@pytest.fixture
def proxy(redis_server):
    with BlackHoleProxy((redis_server.host, redis_server.port)) as proxy:
        yield proxy


@pytest.mark.parametrize("fault", ["swallow", "stall"])
async def test_a_connection_without_replies_is_reported_and_replaced(proxy, redis_client, fault):
    async with Listener(proxy) as listener:
        await listener.join("prices.AAPL")
        getattr(proxy, fault)()
        await until(lambda: listener.reconnects == 1)
        assert listener.disconnects == 1
        # Redis may still know the first connection, so the number of subscribers does not show the second one.
        await until(lambda: redis_client.publish("prices.AAPL", b"again") and listener.messages)
        assert set(listener.messages) == {(b"prices.AAPL", b"again")}


async def test_a_subscription_that_is_not_confirmed_fails_although_messages_arrive(proxy, redis_client, monkeypatch):
    # At a high load this process may read no message for some seconds. The connection must not count as silent then.
    monkeypatch.setattr("watchlist.gateway.fanout.channel_layer.SILENCE_SECONDS", 600.0)
    async with Listener(proxy) as listener:
        await listener.join("prices.AAPL")
        proxy.swallow("up")
        join = asyncio.ensure_future(listener.join("prices.GOOG"))

        def publish_until_done():
            redis_client.publish("prices.AAPL", b"x")
            return join.done()

        await until(publish_until_done)
        with pytest.raises(OSError, match="confirm"):
            await join
        await until(lambda: listener.reconnects == 1)
        await listener.join("prices.GOOG")
        assert redis_client.pubsub_numsub("prices.GOOG")[0][1] >= 1


async def test_a_connection_that_is_never_answered_fails(proxy):
    proxy.swallow(catch_new=True)
    async with asyncio.timeout(60):
        with pytest.raises(RedisError):
            await make_layer(proxy).new_channel()


def test_the_layer_closes_its_connection_with_the_loop(redis_server, redis_client):
    layer = make_layer(redis_server)

    async def join():
        await layer.group_add("prices.AAPL", await layer.new_channel())

    loop = asyncio.new_event_loop()
    loop.run_until_complete(join())
    assert redis_client.pubsub_numsub("prices.AAPL")[0][1] == 1
    loop.close()
    assert redis_client.pubsub_numsub("prices.AAPL")[0][1] == 0
    assert layer._layers == {}
