"""Compression between real clients and a real gateway."""

import json
import zlib

import pytest

from feeds import wire
from tests.support.gateway.process import SYMBOLS, receive_close_code, receive_frame_of_type
from tests.support.gateway.raw_socket import TEXT, make_frame, upgrade
from tests.support.waiting import wait_until
from watchlist.gateway.deflate.offers import ANSWER

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test
REQUEST = {"action": "subscribe", "id": "1", "payload": {"symbols": list(SYMBOLS)}}
CHANNELS = [wire.channel_name(symbol) for symbol in SYMBOLS]
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


@pytest.fixture(scope="module")
def gateway(run_gateway):
    return run_gateway("rungateway")


def subscribe(client):
    """Subscribes to all symbols. Returns the snapshot: the update of each symbol."""
    client.send(json.dumps(REQUEST))
    receive_frame_of_type(client, "ack")
    snapshot = {}
    while len(snapshot) < len(SYMBOLS):
        snapshot |= {update["symbol"]: update for update in json.loads(client.recv(timeout=60))}
    return snapshot


def deflate(data):
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_a_client_that_offers_compression_receives_the_same_updates(gateway):
    expected = {symbol: json.loads(wire.encode(gateway.publish(symbol))) for symbol in SYMBOLS}
    compressed, sent = gateway.metric("connections_compressed_total"), gateway.metric("compression_output_bytes_total")
    with gateway.connect("?batch=1", compression="deflate") as client, gateway.connect("?batch=1") as plain:
        assert client.response.headers["Sec-WebSocket-Extensions"] == ANSWER
        assert "Sec-WebSocket-Extensions" not in plain.response.headers
        assert subscribe(plain) == subscribe(client) == expected
        assert gateway.metric("connections_compressed_total") == compressed + 1
        more = gateway.metric("compression_output_bytes_total") - sent
        assert 0 < more < len(json.dumps(list(expected.values()))) / 2
        update = gateway.publish("AAPL")
        assert json.loads(client.recv(timeout=60)) == [json.loads(wire.encode(update))]


@pytest.mark.parametrize(
    ("query", "offer"),
    [
        ("", "permessage-deflate"),
        ("?batch=0", "permessage-deflate"),
        ("?batch=1", "permessage-deflate; server_max_window_bits=15"),
        ("?batch=1", "permessage-deflate; what"),
        ("?batch=1", "permessage-deflate;;"),
    ],
)
def test_a_declined_offer_leaves_a_plain_connection(gateway, query, offer):
    header = f"Sec-WebSocket-Extensions: {offer}"
    gateway.publish("AAPL")
    with upgrade(gateway, header, path=f"/ws{query}") as client:
        client.send_text('["AAPL"]')
        assert "AAPL" in client.read_text()
        client.send(make_frame(TEXT, deflate(b'["GOOG"]'), reserved=4))
        assert client.read_close() == 1002


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_other_servers_send_no_compressed_updates(run_gateway, command):
    gateway = run_gateway(command)
    for symbol in SYMBOLS:
        gateway.publish(symbol)
    with gateway.connect("?batch=1", compression="deflate") as client:
        assert len(subscribe(client)) == len(SYMBOLS)
        assert gateway.metric("compression_output_bytes_total") == 0


def test_a_gateway_may_be_set_to_compress_nothing(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_DEFLATE="false")
    with gateway.connect("?batch=1", compression="deflate") as client:
        assert "Sec-WebSocket-Extensions" not in client.response.headers


def test_a_client_may_compress_its_requests(gateway):
    with upgrade(gateway, OFFER, path="/ws?batch=1") as client:
        client.send(make_frame(TEXT, deflate(b'{"action":"ping","id":"whole"}'), reserved=4))
        assert json.loads(client.read_text())["id"] == "whole"
        packed = deflate(b'{"action":"ping","id":"parts"}')
        client.send(make_frame(TEXT, packed[:5], reserved=4, final=False))
        client.send(make_frame(0, packed[5:]))
        assert json.loads(client.read_text())["id"] == "parts"
        client.send_text('{"action":"ping","id":"plain"}')
        assert json.loads(client.read_text())["id"] == "plain"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (deflate(b" " * 65_537), 4502),
        (deflate(bytes(10_000_000)), 4502),
        (b"\xff" * 20, 1007),
        (deflate(b'{"action":"ping"}')[:-4], 1007),
        (deflate(b"\xff\xfe"), 1007),
    ],
)
def test_a_message_that_cannot_be_decompressed_closes_the_connection(gateway, payload, code):
    with upgrade(gateway, OFFER, path="/ws?batch=1") as client:
        client.send(make_frame(TEXT, payload, reserved=4))
        assert client.read_close() == code


def test_a_client_that_reads_late_receives_the_last_prices_of_compressed_updates(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_TIMEOUTS_WRITE_WAIT="10m")
    with upgrade(gateway, OFFER, path="/ws?batch=1", receive_buffer=4096) as late:
        late.send_text(json.dumps(REQUEST))
        wait_until(lambda: gateway.metric("subscriptions") == len(SYMBOLS))
        wait_until(lambda: all(count for _, count in gateway.redis.pubsub_numsub(*CHANNELS)))
        last, seen = {}, dict.fromkeys(SYMBOLS, 0)
        for _ in range(20):
            last = {symbol: gateway.publish_burst(symbol, 100).seq_id for symbol in SYMBOLS}
        assert json.loads(late.read_text())["type"] == "ack"
        while seen != last:
            for update in json.loads(late.read_text()):
                assert update["seq_id"] > seen[update["symbol"]]
                seen[update["symbol"]] = update["seq_id"]
        assert gateway.metric("compression_output_bytes_total") > 0


def test_a_drain_closes_compressed_sockets_with_4001(run_gateway):
    gateway = run_gateway("rungateway")
    with gateway.connect("?batch=1", compression="deflate") as client:
        client.send('["AAPL"]')
        wait_until(lambda: gateway.metric("subscriptions") == 1)
        gateway.signal()
        assert receive_close_code(client) == 4001
