"""What no client should send, byte by byte, to a real gateway under plain `daphne`: the others must miss nothing."""

import json
import re
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import islice, product

import pytest

from tests.bench.fuzz import play
from tests.support.gateway.process import hear
from tests.support.gateway.raw_socket import (
    BINARY,
    CLOSE,
    DROPPED,
    PING,
    PONG,
    TEXT,
    dial,
    make_frame,
    make_upgrade,
    upgrade,
)
from tests.support.waiting import wait_until

LIMIT = 64 * 1024
ALIVE = make_frame(TEXT, b'{"action":"ping","id":"alive"}')


@pytest.fixture(scope="module")
def gateway(run_gateway):
    return run_gateway("daphne", GATEWAY_ALLOWED_ORIGINS="https://prices.example", GATEWAY_TIMEOUTS_WRITE_WAIT="1s")


@pytest.fixture(scope="module")
def silent(gateway):
    """Connected before all tests; says nothing until the last one looks what became of it."""
    with upgrade(gateway) as client:
        yield client


@pytest.fixture(scope="module")
def bystander(gateway, silent):
    """A client that was there before, and reads."""
    with gateway.connect() as client:
        client.send('["AAPL"]')
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        yield client


@pytest.fixture(autouse=True)
def others_miss_nothing(gateway, bystander):
    """During and after each test the bystander hears each price, and the log has no traceback."""
    over = threading.Event()
    missed = []

    def follow():
        while not over.wait(0.01):
            update = gateway.publish("AAPL")
            if hear(bystander).get("seq_id") != update.seq_id:
                missed.append(update.seq_id)

    follower = threading.Thread(target=follow)
    follower.start()
    yield
    over.set()
    follower.join()
    assert missed == []
    update = gateway.publish("AAPL")
    assert hear(bystander)["seq_id"] == update.seq_id
    assert "Traceback" not in gateway.log.read_text()


def is_alive(client):
    client.send(ALIVE)
    while json.loads(client.read_text()).get("id") != "alive":
        pass
    return True


def is_alone(gateway):
    """Whether nobody is connected but the bystander and, as long as it may be, the silent one."""
    return gateway.metric("connections") + gateway.metric('closed_total{reason="silent"}') == 2


def padded(size):
    return b'{"action":"ping"}'.ljust(size)


# --- frames and their sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_a_message_up_to_the_limit_is_read(gateway, size):
    with upgrade(gateway) as client:
        client.send_text(padded(size))
        assert json.loads(client.read_text())["type"] == "pong"


@pytest.mark.parametrize("text", [padded(LIMIT + 1), '["' + "é" * (LIMIT // 2) + '"]', b" " * 2**20])
def test_a_message_of_one_byte_more_is_refused(gateway, text):
    with upgrade(gateway) as client:
        client.send_text(text)
        assert client.read_close() == 4502


def test_a_message_in_fragments_of_one_byte_each_in_a_packet_of_its_own_is_read(gateway):
    with upgrade(gateway) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        text = b'{"action":"ping"}'
        frames = [make_frame(TEXT if at == 0 else 0, text[at : at + 1], final=False) for at in range(len(text))]
        for byte in b"".join([*frames, make_frame(0)]):
            client.send(bytes((byte,)))
        assert json.loads(client.read_text())["type"] == "pong"


def test_a_ping_between_fragments_is_answered(gateway):
    with upgrade(gateway) as client:
        client.send(make_frame(TEXT, b'{"action"', final=False) + make_frame(PING, b"!") + make_frame(0, b':"ping"}'))
        assert client.read_frame() == (PONG, b"!")
        assert json.loads(client.read_text())["type"] == "pong"


@pytest.mark.parametrize("size", [0, 125])
def test_a_ping_is_answered_with_all_it_carried(gateway, size):
    with upgrade(gateway) as client:
        client.send(make_frame(PING, b"x" * size))
        assert client.read_frame() == (PONG, b"x" * size)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(make_frame(TEXT, b"[]", masked=False), id="unmasked"),
        pytest.param(make_frame(3, b"x"), id="reserved opcode"),
        pytest.param(make_frame(11, b"x"), id="reserved control opcode"),
        pytest.param(make_frame(TEXT, b"[]", reserved=4), id="reserved bit"),
        pytest.param(make_frame(PING, b"x" * 126), id="ping over 125 bytes"),
        pytest.param(make_frame(PONG, b"x" * 126), id="pong over 125 bytes"),
        pytest.param(make_frame(CLOSE, b"\x03\xe8" + b"x" * 124), id="close over 125 bytes"),
        pytest.param(make_frame(CLOSE, b"x"), id="close of one byte"),
        pytest.param(make_frame(CLOSE, b"\x03\xed"), id="close 1005"),
        pytest.param(make_frame(PING, b"x", final=False), id="ping in fragments"),
        pytest.param(make_frame(0, b"x"), id="nothing to continue"),
        pytest.param(make_frame(TEXT, b"x", final=False) + make_frame(TEXT, b"x"), id="two messages at once"),
        pytest.param(make_frame(TEXT, b"\xff\xfe"), id="no UTF-8"),
        pytest.param(b"\x81\xff" + b"\xff" * 8 + bytes(4), id="a length over 63 bits"),
        pytest.param(b"\x81\xff\x7f" + b"\xff" * 7 + bytes(4), id="a length of 8 EiB"),
        pytest.param(b"\x81\xfe\x00\x01" + bytes(4) + b"x", id="a length written too long"),
        pytest.param(make_frame(TEXT, b" " * (2**20 + 1)), id="over a MiB"),
        pytest.param(b"\x00" * 100, id="zeros"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
    ],
)
def test_what_breaks_the_rules_of_frames_ends_the_connection(gateway, data):
    with upgrade(gateway) as client:
        with suppress(OSError):
            client.send(data)
        assert client.read_close() in {DROPPED, 1002, 1007, 1009}
    wait_until(lambda: is_alone(gateway))


def test_binary_frames_are_refused(gateway):
    with upgrade(gateway) as client:
        client.send(make_frame(BINARY, b'["AAPL"]'))
        assert client.read_close() == 4503


def test_a_client_that_leaves_while_it_is_answered_is_gone_at_once(gateway):
    with upgrade(gateway) as client:
        client.send(ALIVE * 3 + make_frame(CLOSE, b"\x03\xe8"))
        assert client.read_close() == 1000
        wait_until(lambda: is_alone(gateway))
    assert gateway.metric('closed_total{reason="slow"}') == 0


# --- floods ---------------------------------------------------------------------------------------------------------

FLOODS = {
    "pings": (b"", make_frame(PING, b"x" * 125) * 100),
    "pongs": (b"", make_frame(PONG) * 1000),
    "empty fragments": (make_frame(TEXT, final=False), make_frame(0, final=False) * 1000),
    "endless fragments": (make_frame(TEXT, b"{", final=False), make_frame(0, b" ", final=False) * 1000),
    "messages": (b"", make_frame(TEXT, b'{"action":"ping"}') * 1000),
    "unsubscribes": (b"", make_frame(TEXT, b'{"action":"unsubscribe","payload":{"symbols":["GOOG"]}}') * 1000),
}


@pytest.mark.parametrize("reads", [True, False], ids=["and reads", "and never reads"])
@pytest.mark.parametrize("name", FLOODS)
def test_a_client_that_floods_is_cut_off(gateway, name, reads):
    before = closed_for_fault(gateway)
    opening, data = FLOODS[name]
    with upgrade(gateway, receive_buffer=0 if reads else 4096) as client, ThreadPoolExecutor() as pool:
        client.send(ALIVE)
        client.read_text()
        code = pool.submit(client.read_close) if reads else None
        client.send(opening)
        with pytest.raises((ConnectionError, TimeoutError)):
            client.send_without_end(data)
        assert code is None or code.result() in {4008, 4013, DROPPED}
    wait_until(lambda: closed_for_fault(gateway) == before + 1)
    wait_until(lambda: is_alone(gateway))


def closed_for_fault(gateway):
    return sum(gateway.metric(f'closed_total{{reason="{reason}"}}') for reason in ("flood", "slow"))


def test_a_client_that_never_reads_what_it_asks_for_is_dropped(gateway):
    with upgrade(gateway, receive_buffer=4096) as client:
        client.send(make_frame(TEXT, b'{"action":"ping","id":"' + b"x" * 60_000 + b'"}') * 20)
        wait_until(lambda: gateway.metric('closed_total{reason="slow"}') > 0)
        wait_until(lambda: is_alone(gateway))
        with pytest.raises(ConnectionError):
            client.send_without_end(ALIVE)


# --- handshakes and lines -------------------------------------------------------------------------------------------


def test_headers_that_come_byte_by_byte_hold_up_nobody(gateway):
    with dial(gateway) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in make_upgrade(gateway.address):
            client.send(bytes((byte,)))
        assert client.read_head()[0] == 101
        assert is_alive(client)


def test_connections_that_say_nothing_or_not_all_hold_up_nobody(gateway):
    with ExitStack() as stack:
        for begun in (b"", b"GET /ws HTTP/1.1\r\nHost: a\r\n", b"\x16\x03\x01", make_upgrade("a")[:-2]) * 20:
            stack.enter_context(dial(gateway)).send(begun)
        with upgrade(gateway) as client:
            assert is_alive(client)


def test_a_line_of_which_one_half_is_closed_ends(gateway):
    with upgrade(gateway) as client:
        assert is_alive(client)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_close() == DROPPED
    wait_until(lambda: is_alone(gateway))


def test_a_line_that_is_reset_ends(gateway):
    with upgrade(gateway) as client:
        client.send_text('["AAPL"]')
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: is_alone(gateway))


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(make_upgrade("a", "/ws", "X: " + "x" * 20_000), id="a header of 20,000 bytes"),
        pytest.param(make_upgrade("a", "/ws?" + "x" * 20_000), id="an address of 20,000 bytes"),
        pytest.param(make_upgrade("a", "/ws", *(f"X-{number}: x" for number in range(1000))), id="1,000 headers"),
        pytest.param(make_upgrade("a", "/ws", "Sec-WebSocket-Version: 7"), id="two versions"),
        pytest.param(make_upgrade("a").replace(b"Key: dGhl", b"Key: d"), id="a key too short"),
        pytest.param(make_upgrade("a").replace(b"GET", b"POST"), id="POST"),
        pytest.param(make_upgrade("a").replace(b"Host: a\r\n", b""), id="no host"),
        pytest.param(make_upgrade("a", "/ws", "Origin: \x00\xff"), id="an origin of strange bytes"),
        pytest.param(make_upgrade("a", "/ws?heartbeat=%ff%00"), id="a heartbeat of strange bytes"),
        pytest.param(b"\x00" * 70_000, id="zeros"),
        pytest.param(b"\r\n" * 1000, id="empty lines"),
    ],
)
def test_a_handshake_that_cannot_be_is_refused_or_dropped(gateway, request_bytes):
    with dial(gateway) as client:
        with suppress(OSError):
            client.send(request_bytes)
            client.sock.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionError):
            while more := client.sock.recv(65536):
                answer += more
        assert not answer.startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "", "*", "https://prices.example.evil.test", "https://evil-prices.example"),
        *("http://prices.example", "https://prices.example:444", "https://PRICES.example.", "https://prices.example/"),
        *("https://prices.example@evil.test", "https://prices.example, https://evil.example", "prices.example"),
    ],
)
def test_an_origin_that_is_not_named_is_refused(gateway, origin):
    with dial(gateway) as client:
        client.send(make_upgrade(gateway.address, "/ws", f"Origin: {origin}"))
        assert client.read_head()[0] in {400, 403}


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-for: 9.9.9.9\r\nX-Forwarded-For"]
)
def test_an_address_that_a_client_claims_counts_for_nothing(gateway, header):
    with upgrade(gateway, f"{header}: 203.0.113.9") as client:
        assert is_alive(client)
        wait_until(lambda: gateway.redis.keys("ratelimit:*"))
    assert gateway.redis.keys("ratelimit:*") == [b"ratelimit:127.0.0.1"]


# --- requests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param('{"action":' + "[" * 60_000, 400, id="60,000 arrays in each other"),
        pytest.param('{"action":"ping","x":' + "[" * 20_000 + "]" * 20_000 + "}", 400, id="the same, closed"),
        pytest.param('{"action":"ping","x":' + '{"a":' * 10_000 + "1" + "}" * 10_001, 400, id="objects in each other"),
        pytest.param('{"action":"ping","x":' + "9" * 5000 + "}", 400, id="a number of 5,000 digits"),
        pytest.param('{"action":"ping","x":-1e-' + "9" * 5000 + "}", None, id="an exponent of 5,000 digits"),
        pytest.param('{"action":"ping","x":NaN}', 400, id="NaN"),
        pytest.param('{"action":"ping","x":Infinity}', 400, id="Infinity"),
        pytest.param('{"action":"ping","x":1e999}', 400, id="a number over all others"),
        pytest.param('{"action":"ping","id":"\\ud800"}', 400, id="half of a pair"),
        pytest.param('{"action":"ping","id":"\\udc00\\ud800"}', 400, id="a pair the wrong way round"),
        pytest.param('{"action":"ping","action":1}', 400, id="a key twice"),
        pytest.param('{"action":"subscribe","payload":{"symbols":["\\u0000evil\\r\\n"]}}', 404, id="NUL and line ends"),
        pytest.param('{"action":"unsubscribe","payload":{"symbols":["\\u0000evil\\r\\n"]}}', 404, id="the same, gone"),
        pytest.param('{"action":"evil\\r\\n\\u0000\\u001b[31m"}', 400, id="an action of control characters"),
        pytest.param('{"action":"ping","id":["evil"]}', 400, id="an id that is no text"),
        pytest.param("{", 400, id="half an object"),
    ],
)
def test_a_strange_request_is_answered_and_the_socket_lives(gateway, text, code):
    with upgrade(gateway) as client:
        client.send_text(text)
        assert json.loads(client.read_text()).get("code") == code
        assert is_alive(client)
    log = gateway.log.read_bytes()
    assert b"evil" not in log
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", log)


def test_ten_thousand_symbols_in_a_frame_are_answered_in_short(gateway):
    names = ["".join(letters) for letters in islice(product("ABCDEFGHIJKLMNOPQRSTUVWXYZ", repeat=3), 10_000)]
    for action, wanted in (("subscribe", [*names, "GOOG"]), ("unsubscribe", names)):
        with upgrade(gateway) as client:
            client.send_text(json.dumps({"action": action, "payload": {"symbols": wanted}}, separators=(",", ":")))
            reply = client.read_text()
            assert len(reply) < 32 * 1024
            assert json.loads(reply)["type"] == ("ack" if action == "subscribe" else "error")
            assert is_alive(client)


@pytest.mark.parametrize("path", ["/ws%0d%0aevil", "/evil%00", "/ws?evil%0a=1", "/ws/status?evil%0a=1", "/%1b[31mevil"])
def test_a_strange_address_reaches_no_line_of_the_log_raw(gateway, path):
    with dial(gateway) as client:
        client.send(make_upgrade(gateway.address, path, "User-Agent: evil\x1b[31m"))
        client.read_head()
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", gateway.log.read_bytes())
    assert not re.search(rb"(?m)^evil", gateway.log.read_bytes())


def test_twenty_thousand_random_frames_break_nothing(gateway):
    codes = play(gateway, frames=20_000, seed=1)
    assert codes[1011] == 0
    assert codes.total() > 500
    wait_until(lambda: is_alone(gateway))


def test_a_client_that_never_says_a_word_is_closed(silent, gateway):
    wait_until(lambda: gateway.metric('closed_total{reason="silent"}') == 1)
    assert silent.read_close() == 4009
