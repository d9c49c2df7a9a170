"""A process that gets prices through the relay, and subscribes to Redis itself without it."""

import asyncio

import pytest

from stockwatch.local.redis_server import RedisServer
from tests.support.gateway.relay import LocalRelay, make_layer
from tests.support.waiting import until
from watchlist.gateway.counts import RelayCounts
from watchlist.gateway.relay import connection
from watchlist.gateway.relay.framing import PREAMBLE, Kind, encode_frame
from watchlist.gateway.relay.layer import RelayLayer


class Process:
    """The layer of a process, and what it has reported."""

    def __init__(self, server, path):
        self.counts = RelayCounts()
        self.layer = RelayLayer(path, make_layer(server), self.counts)
        self.messages, self.events = [], []

    async def open(self):
        self.channel = await self.layer.new_channel()
        self.layer.set_receiver(
            lambda *message: self.messages.append(message),
            lambda: self.events.append("lost"),
            lambda: self.events.append("back"),
        )
        return self

    async def join(self, *groups):
        await asyncio.gather(*(self.layer.group_add(group, self.channel) for group in groups))


@pytest.fixture
async def process(redis_server, local_relay):
    process = await Process(redis_server, local_relay.path).open()
    yield process
    await process.layer.flush()


async def arrives(process, client, group="prices.AAPL"):
    """Publishes until a message of the group arrives."""
    process.messages.clear()
    await until(lambda: client.publish(group, b"1") and (group.encode(), b"1") in process.messages)


async def test_a_process_uses_the_relay_if_there_is_one(process, redis_client):
    await process.join("prices.AAPL")
    assert redis_client.publish("prices.AAPL", b"1") == 1
    await until(lambda: process.messages == [(b"prices.AAPL", b"1")])
    assert (process.counts.connected, process.counts.fallbacks, process.events) == (True, 0, [])


async def test_many_groups_are_joined_together(process, redis_client):
    await process.join(*(f"prices.S{number}" for number in range(2500)))
    assert all(redis_client.publish(f"prices.S{number}", b"1") == 1 for number in range(2500))
    await until(lambda: len(process.messages) == 2500)


async def test_when_the_relay_ends_the_process_subscribes_itself_until_the_relay_is_back(
    process, local_relay, redis_client
):
    await process.join("prices.AAPL", "prices.GOOG")
    await local_relay.close()
    await until(lambda: process.events == ["lost", "back"])
    await arrives(process, redis_client, "prices.GOOG")
    assert (process.counts.connected, process.counts.fallbacks) == (False, 1)
    await process.join("prices.TSLA")
    await process.layer.group_discard("prices.AAPL", process.channel)
    await local_relay.start()
    await until(lambda: process.events == ["lost", "back", "back"])
    assert redis_client.publish("prices.TSLA", b"1") == 1
    await until(lambda: redis_client.pubsub_numsub("prices.AAPL")[0][1] == 0)
    assert process.counts.connected
    await arrives(process, redis_client, "prices.TSLA")


async def test_every_message_arrives_while_the_relay_takes_over(process, local_relay, redis_client):
    await process.join("prices.AAPL")
    await local_relay.close()
    await until(lambda: process.events == ["lost", "back"])
    await local_relay.start()
    number = 0
    while process.events != ["lost", "back", "back"]:
        redis_client.publish("prices.AAPL", b"%d" % number)
        number += 1
        await asyncio.sleep(0.002)
    await until(lambda: {data for _, data in process.messages} == {b"%d" % each for each in range(number)})


async def test_without_a_relay_at_its_start_a_process_subscribes_itself(redis_server, local_relay, redis_client):
    await local_relay.close()
    process = await Process(redis_server, local_relay.path).open()
    await process.join("prices.AAPL")
    await arrives(process, redis_client)
    assert (process.counts.fallbacks, process.events) == (1, [])
    await process.layer.flush()


async def test_a_socket_that_does_not_exist_is_no_reason_to_fail(redis_server, redis_client):
    process = await Process(redis_server, "/nonexistent/relay").open()
    await process.join("prices.AAPL")
    await arrives(process, redis_client)
    await process.layer.flush()


@pytest.mark.parametrize(
    "answer",
    [
        b"stockwatch relay 2\n",
        PREAMBLE + b"\xff\xff\xff\xff\x01",
        PREAMBLE + encode_frame(Kind.JOIN, b"[]"),
        PREAMBLE + encode_frame(Kind.UPDATES, b"\0"),
        PREAMBLE + encode_frame(Kind.LOST),
        b"",
    ],
)
async def test_a_relay_that_breaks_the_protocol_is_not_used(redis_server, redis_client, tmp_path, answer):
    async def serve(reader, writer):
        writer.write(answer)
        if answer:
            await reader.read()
        writer.close()

    path = str(tmp_path / "relay")
    server = await asyncio.start_unix_server(serve, path)
    process = await Process(redis_server, path).open()
    await process.join("prices.AAPL")
    await arrives(process, redis_client)
    assert not process.counts.connected
    await process.layer.flush()
    server.close()


async def test_a_relay_that_is_silent_is_dropped(redis_server, redis_client, tmp_path, monkeypatch):
    async def serve(reader, writer):
        writer.write(PREAMBLE)
        await reader.read()
        writer.close()
        server.close()  # a second attempt fails at once
        ended.set()

    monkeypatch.setattr(connection, "CHECK_SECONDS", 0.05)
    ended, path = asyncio.Event(), str(tmp_path / "relay")
    server = await asyncio.start_unix_server(serve, path)
    process = await Process(redis_server, path).open()
    await asyncio.wait_for(ended.wait(), 60)
    await process.join("prices.AAPL")
    await arrives(process, redis_client)
    await process.layer.flush()


async def test_an_error_of_the_receiver_loses_no_later_message(redis_server, local_relay, redis_client):
    def receive(channel, data):
        if data == b"bad":
            raise ValueError("a fault of the receiver")
        received.append(data)

    received, process = [], await Process(redis_server, local_relay.path).open()
    process.layer.set_receiver(receive, lambda: None, lambda: None)
    await process.join("prices.AAPL")
    for data in (b"good", b"bad", b"late"):
        redis_client.publish("prices.AAPL", data)
    await until(lambda: received == [b"good", b"late"])
    assert process.counts.connected
    await process.layer.flush()


async def test_a_group_cannot_be_joined_while_redis_is_away_and_can_be_joined_later():
    with RedisServer() as server:
        relay = await LocalRelay(server).start()
        process = await Process(server, relay.path).open()
        await process.join("prices.AAPL")
        server.kill()
        await until(lambda: process.events == ["lost"])
        with pytest.raises(OSError):  # noqa: PT011 - any error of a connection
            await process.join("prices.GOOG")
        server.start()
        await until(lambda: process.events == ["lost", "back"])
        await process.join("prices.GOOG")
        await process.layer.flush()
        await relay.close()
        relay.remove()
