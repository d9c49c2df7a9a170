"""Sockets under a server other than Daphne: frames pass through ASGI's `send`."""

import asyncio
import json

from feeds.wire import Update, encode
from tests.support.gateway.asgi import begin, disconnect, receive_json, send_json
from tests.support.gateway.fakes import FakePriceLayer
from tests.support.times import at
from tests.support.waiting import until
from watchlist.gateway.framing import text_frame
from watchlist.gateway.sockets.daphne_transport import MAX_WRITE_BYTES
from watchlist.gateway.sockets.send_transport import SendTransport


def subscribe(symbols):
    return {"action": "subscribe", "payload": {"symbols": symbols}}


async def test_updates_are_sent_from_redis_to_the_client(start_local_gateway, redis_client):
    local = start_local_gateway()
    redis_client.set("stock:AAPL", encode(Update("AAPL", 1.0, at(1), 1)))
    client = local.connect()
    assert await begin(client) == {"type": "websocket.accept"}
    await send_json(client, subscribe(["AAPL"]))
    assert (await receive_json(client))["type"] == "ack"
    assert (await receive_json(client))["seq_id"] == 1
    for seq_id in range(2, 30):
        await asyncio.to_thread(redis_client.publish, "prices.AAPL", encode(Update("AAPL", 1.0, at(seq_id), seq_id)))
        assert (await receive_json(client))["seq_id"] == seq_id
    assert not local.gateway.counts.direct_writes
    await disconnect(client)
    await until(lambda: redis_client.pubsub_numsub("prices.AAPL")[0][1] == 0)


async def test_updates_are_sent_from_any_price_layer_to_the_client(start_local_gateway, redis_client):
    layer = FakePriceLayer()
    local = start_local_gateway(layer=layer)
    redis_client.set("stock:AAPL", encode(Update("AAPL", 1.0, at(1), 1)))
    client = local.connect()
    await begin(client)
    await send_json(client, subscribe(["AAPL"]))
    assert (await receive_json(client))["type"] == "ack"
    assert (await receive_json(client))["seq_id"] == 1
    for seq_id in range(2, 30):
        layer.publish("prices.AAPL", encode(Update("AAPL", 1.0, at(seq_id), seq_id)))
        assert (await receive_json(client))["seq_id"] == seq_id
    await disconnect(client)
    await until(lambda: not layer.groups)


async def test_a_malformed_publication_stops_nothing(start_local_gateway, redis_client):
    local = start_local_gateway()
    client = local.connect()
    await begin(client)
    await send_json(client, ["AAPL"])
    await until(lambda: redis_client.publish("prices.AAPL", b"not an update") == 1)
    redis_client.publish("prices.AAPL", encode(Update("AAPL", 1.0, at(1), 1)))
    assert (await receive_json(client))["seq_id"] == 1
    assert local.gateway.hub.counts.malformed == 1
    await disconnect(client)


async def test_a_slow_send_skips_updates_and_ends_with_the_newest(start_local_gateway):
    local = start_local_gateway()
    hub = local.gateway.hub
    writable = asyncio.Event()
    sent = []

    async def send(event):
        sent.append(event)
        if event["type"] == "websocket.send":
            await writable.wait()

    task, events = local.run(send, '["AAPL"]')
    await until(lambda: hub.symbols == ["AAPL"])
    for seq_id in range(1, 1001):
        hub.receive(b"prices.AAPL", encode(Update("AAPL", 1.0, at(seq_id), seq_id)))
        hub.flush()
    writable.set()
    await until(lambda: json.loads(sent[-1].get("text", "{}")).get("seq_id") == 1000)
    assert len(sent) < 10
    events.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await task


async def test_a_failed_send_ends_nothing_but_itself(start_local_gateway):
    local = start_local_gateway()

    async def send(event):
        if event["type"] != "websocket.accept":
            raise ConnectionResetError

    task, events = local.run(send, '{"action":"ping"}')
    await until(lambda: len(local.gateway.sessions) == 1)
    local.gateway.drain()
    events.put_nowait({"type": "websocket.disconnect", "code": 1006})
    await task
    assert not local.gateway.sessions


async def test_a_server_that_does_not_send_is_given_a_bounded_block():
    writable, sent, resumed = asyncio.Event(), [], []

    async def send(event):
        sent.append(event["text"])
        await writable.wait()

    transport = SendTransport(send, lambda: resumed.append(True))
    frames = [text_frame(str(number).encode() * 1000) for number in range(1000)]
    size = transport.write(b"".join(frames))
    assert MAX_WRITE_BYTES - max(map(len, frames)) < size <= MAX_WRITE_BYTES
    assert transport.write(frames[0]) == 0
    transport.finish(b"")
    writable.set()
    await until(lambda: resumed)
    assert sum(len(text_frame(text.encode())) for text in sent) == size
    large = text_frame(b"x" * 2 * MAX_WRITE_BYTES)
    assert transport.write(large + large) == len(large)
    await until(lambda: len(sent[-1]) == 2 * MAX_WRITE_BYTES)
