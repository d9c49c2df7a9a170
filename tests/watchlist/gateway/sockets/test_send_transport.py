"""The gateway under a server that is not Daphne: an ASGI conversation in this process, by `send` and `receive`."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from channels.testing import ApplicationCommunicator
from redis.asyncio import Redis

from feeds.wire import Update, encode
from tests.support.waiting import until
from watchlist.gateway.catalog import Catalog, Listing
from watchlist.gateway.fanout.channel_layer import PricesChannelLayer
from watchlist.gateway.gateway import Gateway
from watchlist.gateway.limits import Limits
from watchlist.gateway.protocol import text_frame
from watchlist.gateway.sockets.routing import route_sockets
from watchlist.gateway.sockets.transport import LARGEST_WRITE, AttachTransport, DaphneTransport, SendTransport


async def load():
    return [Listing("AAPL", "Apple", 100.0), Listing("GOOG", "Alphabet", 200.0)]


class PlainLayer:
    """The stock interface of a channel layer, without a sink."""

    def __init__(self, layer):
        self._layer = layer

    def __getattr__(self, name):
        if name == "set_sink":
            raise AttributeError(name)
        return getattr(self._layer, name)


@pytest.fixture
async def start(redis_server, redis_client):
    gateways, clients = [], []

    def start(plain=False, **limits):
        layer = PricesChannelLayer(hosts=[{"host": redis_server.host, "port": redis_server.port, "protocol": 2}])
        client = Redis(host=redis_server.host, port=redis_server.port, protocol=2)
        gateway = Gateway(
            Limits(rate_burst=1000, **limits),
            Catalog(),
            load,
            layer=lambda: PlainLayer(layer) if plain else layer,
            redis=lambda: client,
        )
        gateways.append(gateway)
        clients.append(client)
        return gateway

    yield start
    for gateway in gateways:
        await gateway.stop()
    for client in clients:
        await client.aclose()


def connect(gateway, path="/ws", **scope):
    scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "client": ["127.0.0.1", 1], **scope}
    return ApplicationCommunicator(AttachTransport(route_sockets(gateway)), scope)


async def accept(client):
    await client.send_input({"type": "websocket.connect"})
    return await client.receive_output(5)


async def say(client, value):
    await client.send_input({"type": "websocket.receive", "text": json.dumps(value)})


async def hear(client):
    event = await client.receive_output(5)
    return json.loads(event["text"]) if event["type"] == "websocket.send" else event


async def leave(client):
    await client.send_input({"type": "websocket.disconnect", "code": 1000})
    await client.wait(5)


@pytest.mark.parametrize("plain", [False, True], ids=["our layer", "a layer without a sink"])
async def test_prices_flow_by_send_where_there_is_no_transport(start, redis_client, plain):
    gateway = start(plain)
    first = Update("AAPL", 1.0, 1, 1)
    redis_client.set("stock:AAPL", encode(first))
    client = connect(gateway)
    assert await accept(client) == {"type": "websocket.accept"}
    await say(client, {"action": "subscribe", "payload": {"symbols": ["AAPL"]}})
    assert (await hear(client))["type"] == "ack"
    assert (await hear(client))["seq_id"] == 1
    for seq in range(2, 30):
        await asyncio.to_thread(redis_client.publish, "prices.AAPL", encode(Update("AAPL", 1.0, seq, seq)))
        assert (await hear(client))["seq_id"] == seq
    assert not gateway.fast
    await leave(client)
    await until(lambda: redis_client.pubsub_numsub("prices.AAPL")[0][1] == 0)


async def test_a_malformed_publication_stops_nothing_where_the_layer_has_no_sink(start, redis_client):
    gateway = start(plain=True)
    client = connect(gateway)
    await accept(client)
    await say(client, ["AAPL"])
    await until(lambda: redis_client.publish("prices.AAPL", b"not an update") == 1)
    redis_client.publish("prices.AAPL", encode(Update("AAPL", 1.0, 1, 1)))
    assert (await hear(client))["seq_id"] == 1
    await leave(client)


async def test_a_slow_send_conflates_and_ends_with_the_newest(start):
    gateway = start()
    gate = asyncio.Event()
    sent = []

    async def send(event):
        sent.append(event)
        if event["type"] == "websocket.send":
            await gate.wait()

    events = asyncio.Queue()
    for event in ({"type": "websocket.connect"}, {"type": "websocket.receive", "text": '["AAPL"]'}):
        events.put_nowait(event)
    scope = {"type": "websocket", "path": "/ws", "headers": [], "query_string": b"", "client": ["127.0.0.1", 1]}
    task = asyncio.ensure_future(route_sockets(gateway)(scope, events.get, send))
    await until(lambda: gateway.hub.symbols == ["AAPL"])
    for seq in range(1, 1001):
        gateway.hub.take(b"prices.AAPL", encode(Update("AAPL", 1.0, seq, seq)))
        gateway.hub.flush()
    gate.set()
    await until(lambda: json.loads(sent[-1].get("text", "{}")).get("seq_id") == 1000)
    assert len(sent) < 10
    events.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await task


async def test_a_server_that_does_not_send_is_handed_no_more_than_a_part_at_once():
    gate, sent, drained = asyncio.Event(), [], []

    async def send(event):
        sent.append(event["text"])
        await gate.wait()

    transport = SendTransport(send, lambda: drained.append(True))
    frames = [text_frame(str(number).encode() * 1000) for number in range(1000)]
    taken = transport.write(b"".join(frames))
    assert LARGEST_WRITE - max(map(len, frames)) < taken <= LARGEST_WRITE
    assert transport.write(frames[0]) == 0
    transport.finish(b"")
    gate.set()
    await until(lambda: drained)
    assert sum(len(text_frame(text.encode())) for text in sent) == taken
    large = text_frame(b"x" * 2 * LARGEST_WRITE)
    assert transport.write(large + large) == len(large)
    await until(lambda: len(sent[-1]) == 2 * LARGEST_WRITE)


def test_a_cipher_is_handed_no_more_than_a_part_at_once():
    wire = SimpleNamespace(dataBuffer=b"", _tempDataLen=0)
    taken = []
    cipher = SimpleNamespace(transport=wire, connected=True, disconnecting=False, write=taken.append)
    transport = DaphneTransport.__new__(DaphneTransport)
    transport._transport, transport._wire, transport._plain = cipher, wire, False
    assert transport.write(b"x" * 10 * LARGEST_WRITE) == LARGEST_WRITE
    assert transport.write(b"y") == 1
    assert [len(block) for block in taken] == [LARGEST_WRITE, 1]


async def test_a_send_that_fails_ends_nothing_but_itself(start):
    gateway = start()

    async def send(event):
        if event["type"] != "websocket.accept":
            raise ConnectionResetError

    events = asyncio.Queue()
    for event in ({"type": "websocket.connect"}, {"type": "websocket.receive", "text": '{"action":"ping"}'}):
        events.put_nowait(event)
    scope = {"type": "websocket", "path": "/ws", "headers": [], "query_string": b"", "client": None}
    task = asyncio.ensure_future(route_sockets(gateway)(scope, events.get, send))
    await until(lambda: len(gateway.sessions) == 1)
    gateway.close_all()
    events.put_nowait({"type": "websocket.disconnect", "code": 1006})
    await task
    assert not gateway.sessions


async def test_a_refusal_is_a_close_code_where_the_server_knows_no_other_status(start):
    gateway = start(max_connections=1)
    first = connect(gateway)
    await accept(first)
    second = connect(gateway)
    assert await accept(second) == {"type": "websocket.accept"}
    assert await second.receive_output(5) == {"type": "websocket.close", "code": 4003}
    await leave(first)


async def test_a_refusal_is_an_http_answer_where_the_server_can_give_one(start):
    gateway = start()
    client = connect(gateway, "/other", extensions={"websocket.http.response": {}})
    await client.send_input({"type": "websocket.connect"})
    answer = await client.receive_output(5)
    assert (answer["type"], answer["status"]) == ("websocket.http.response.start", 404)
    assert (await client.receive_output(5))["body"] == b""


async def test_a_foreign_origin_is_closed_before_it_is_accepted(start):
    gateway = start(allowed_origins=("https://a.example",))
    client = connect(gateway, headers=[(b"origin", b"https://b.example")])
    assert await accept(client) == {"type": "websocket.close"}
    assert gateway.counts.refused == {"origin": 1}


async def test_a_gateway_without_its_table_sends_clients_away_until_it_is_readable(start):
    gateway = start()
    broken = True

    async def load_or_fail():
        if broken:
            raise OSError("no database")
        return await load()

    gateway._load = load_or_fail
    client = connect(gateway, extensions={"websocket.http.response": {}})
    await client.send_input({"type": "websocket.connect"})
    assert (await client.receive_output(5))["status"] == 503
    broken = False
    client = connect(gateway)
    assert await accept(client) == {"type": "websocket.accept"}
    await leave(client)


async def test_a_closing_gateway_lets_nobody_in(start):
    gateway = start()
    client = connect(gateway)
    await accept(client)
    gateway.close_all()
    assert await client.receive_output(5) == {"type": "websocket.close", "code": 4001}
    late = connect(gateway, extensions={"websocket.http.response": {}})
    await late.send_input({"type": "websocket.connect"})
    assert (await late.receive_output(5))["status"] == 503
    await leave(client)
