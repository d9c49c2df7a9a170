"""Third-party clients see the documented conversation. All other tests use the client of `websockets`."""

import json
from pathlib import Path

import pytest

from feeds import wire
from tests.support.clients import find_program
from tests.support.gateway.process import SYMBOLS
from tests.support.waiting import until, wait_until

pytestmark = pytest.mark.clients
NODE = Path(__file__).parent / "node"
SUBSCRIBE = '{"action":"subscribe","payload":{"symbols":["AAPL","XXXX"]},"id":"1"}'
ACK = {
    "type": "ack",
    "id": "1",
    "status": "success",
    "message": "Subscribed to [AAPL]",
    "symbols": ["AAPL"],
    "rejected": {"XXXX": "unknown symbol"},
}
PACED = json.dumps({"action": "subscribe", "payload": {"symbols": list(SYMBOLS), "options": {"max_hz": 4}}, "id": "1"})
"""A request after which the updates of all symbols come in arrays that are long enough to be compressed."""
FAULTS = [("not json", 4501), ('["' + "x" * 65_536 + '"]', 4502)]


def publish_all(gateway):
    return {symbol: gateway.publish(symbol).seq_id for symbol in SYMBOLS}


def compressed_bytes(gateway):
    return gateway.metric("compression_output_bytes_total")


def is_subscribed(gateway):
    return gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1


async def test_aiohttp_receives_the_ack_the_snapshot_and_later_updates(gateway):
    import aiohttp

    first = gateway.publish("AAPL")
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://{gateway.address}/ws") as socket:
        await socket.send_str(SUBSCRIBE)
        assert await socket.receive_json(timeout=60) == ACK
        assert await socket.receive_str(timeout=60) == wire.encode(first).decode()
        await until(lambda: is_subscribed(gateway))
        for _ in range(20):
            update = gateway.publish("AAPL")
            assert await socket.receive_str(timeout=60) == wire.encode(update).decode()
        await socket.send_str('{"action":"unsubscribe_all","id":"2"}')
        assert (await socket.receive_json(timeout=60))["id"] == "2"


@pytest.mark.parametrize(("text", "code"), FAULTS)
async def test_aiohttp_receives_the_close_code(gateway, text, code):
    import aiohttp

    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://{gateway.address}/ws") as socket:
        await socket.send_str(text)
        async for _ in socket:
            pass
        assert socket.close_code == code


async def test_aiohttp_reads_compressed_arrays(gateway):
    import aiohttp

    before = compressed_bytes(gateway)
    url = f"http://{gateway.address}/ws?batch=1"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, compress=15) as socket:
        assert socket.compress == 15
        await socket.send_str(PACED)
        assert (await socket.receive_json(timeout=60))["type"] == "ack"
        newest, last = {}, publish_all(gateway)
        while newest != last or compressed_bytes(gateway) == before:
            newest |= {update["symbol"]: update["seq_id"] for update in await socket.receive_json(timeout=60)}
            if newest == last and compressed_bytes(gateway) == before:  # a busy gateway sends plain frames
                last = publish_all(gateway)


@pytest.fixture
def talk(node, node_folder, run, gateway):
    """Returns a function that sends requests with Node's `ws` and returns the running program."""
    script = node_folder(NODE) / "talk.mjs"
    return lambda *requests: run([node, str(script), f"ws://{gateway.address}/ws", *requests])


def events(program):
    return [json.loads(line) for line in program.output.splitlines()]


def test_ws_of_node_receives_the_ack_the_snapshot_and_later_updates(gateway, talk):
    first = gateway.publish("AAPL")
    program = talk(SUBSCRIBE)
    wait_until(lambda: program.output.count("\n") == 2)
    wait_until(lambda: is_subscribed(gateway))
    updates = [gateway.publish("AAPL") for _ in range(20)]
    wait_until(lambda: json.loads(events(program)[-1]["text"])["seq_id"] == updates[-1].seq_id)
    ack, *texts = [event["text"] for event in events(program)]
    assert json.loads(ack) == ACK
    assert texts == [wire.encode(update).decode() for update in (first, *updates)]
    assert not any(event["binary"] for event in events(program))


@pytest.mark.parametrize(("text", "code"), FAULTS)
def test_ws_of_node_receives_the_close_code(talk, text, code):
    program = talk(text)
    assert program.wait() == 0
    assert events(program)[-1] == {"code": code}


def test_ws_of_node_answers_pings_by_itself(run_gateway, node, node_folder, run):
    gateway = run_gateway("rungateway", GATEWAY_TIMEOUTS_PING_PERIOD="1s", GATEWAY_TIMEOUTS_PONG_WAIT="2s")
    program = run([node, str(node_folder(NODE) / "talk.mjs"), f"ws://{gateway.address}/ws", '["AAPL"]'])
    wait_until(lambda: program.output.count('"ping"') == 4)
    gateway.publish("AAPL")
    program.wait_for_output("seq_id")
    assert "code" not in program.output
    # The updates of the other gateway of these tests have older timestamps, so this quote would make them stale.
    gateway.redis.delete(wire.stock_key("AAPL"))


def test_ws_of_node_reads_compressed_arrays(gateway, node, node_folder, run):
    before, accepted = compressed_bytes(gateway), gateway.metric("connections_compressed_total")
    program = run([node, str(node_folder(NODE) / "talk.mjs"), f"ws://{gateway.address}/ws?batch=1", PACED])
    program.wait_for_output("ack")
    assert gateway.metric("connections_compressed_total") == accepted + 1

    def publish_until_compressed():
        publish_all(gateway)
        return compressed_bytes(gateway) > before

    wait_until(publish_until_compressed)  # a busy gateway sends plain frames
    last = publish_all(gateway)
    wait_until(lambda: {symbol: newest_number(program, symbol) for symbol in SYMBOLS} == last)


def newest_number(program, symbol):
    # The first text is the ack. There may be pings too.
    arrays = [json.loads(text) for text in [event["text"] for event in events(program) if "text" in event][1:]]
    return max((update["seq_id"] for array in arrays for update in array if update["symbol"] == symbol), default=0)


def test_wscat_shows_updates_and_the_error_of_array_mode(gateway, node, node_folder, run):
    first = gateway.publish("AAPL")
    wscat = [
        node,
        str(node_folder(NODE) / "node_modules" / "wscat" / "bin" / "wscat"),
        "-c",
        f"ws://{gateway.address}/ws",
    ]
    program = run([*wscat, "-w", "60", "-x", '["AAPL"]'])
    program.wait_for_output(wire.encode(first).decode())
    wait_until(lambda: is_subscribed(gateway))
    program.wait_for_output(wire.encode(gateway.publish("AAPL")).decode())
    refused = run([*wscat, "-w", "60", "-x", '["XXXX"]'])
    refused.wait_for_output('{"error":"No valid symbols"}')
    assert refused.wait() == 0


def test_websocat_shows_updates(gateway, run):
    websocat = find_program("websocat", "make test-clients installs it, or see https://github.com/vi/websocat")
    first = gateway.publish("AAPL")
    command = f"echo '{SUBSCRIBE}' | {websocat} --no-close ws://{gateway.address}/ws"
    program = run(["sh", "-c", command])
    program.wait_for_output(wire.encode(first).decode())
    assert json.loads(program.output.splitlines()[0]) == ACK
    wait_until(lambda: is_subscribed(gateway))
    program.wait_for_output(wire.encode(gateway.publish("AAPL")).decode())
