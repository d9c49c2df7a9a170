"""Invalid and unusual frames."""

import json
import socket
from contextlib import suppress

import pytest

from tests.support.gateway.hostile import PING_REQUEST, only_fixtures_are_connected
from tests.support.gateway.raw_socket import BINARY, CLOSE, DROPPED, PING, PONG, TEXT, make_frame, upgrade
from tests.support.waiting import wait_until
from watchlist.gateway.protocol import MAX_MESSAGE_BYTES


def pad(size):
    return b'{"action":"ping"}'.ljust(size)


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES - 1, MAX_MESSAGE_BYTES])
def test_a_message_up_to_the_limit_is_accepted(gateway, size):
    with upgrade(gateway) as client:
        client.send_text(pad(size))
        assert json.loads(client.read_text())["type"] == "pong"


@pytest.mark.parametrize(
    "text", [pad(MAX_MESSAGE_BYTES + 1), '["' + "é" * (MAX_MESSAGE_BYTES // 2) + '"]', b" " * 2**20]
)
def test_a_message_over_the_limit_is_refused(gateway, text):
    with upgrade(gateway) as client:
        client.send_text(text)
        assert client.read_close() == 4502


def test_a_message_in_one_byte_fragments_and_one_byte_packets_is_accepted(gateway):
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
def test_a_ping_is_answered_with_its_payload(gateway, size):
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
        pytest.param(make_frame(0, b"x"), id="no message to continue"),
        pytest.param(
            make_frame(TEXT, b"x", final=False) + make_frame(TEXT, b"x"), id="a new message inside a fragmented one"
        ),
        pytest.param(make_frame(TEXT, b"\xff\xfe"), id="invalid UTF-8"),
        pytest.param(b"\x81\xff" + b"\xff" * 8 + bytes(4), id="a length over 63 bits"),
        pytest.param(b"\x81\xff\x7f" + b"\xff" * 7 + bytes(4), id="a length of 8 EiB"),
        pytest.param(b"\x81\xfe\x00\x01" + bytes(4) + b"x", id="a length in a longer form than needed"),
        pytest.param(make_frame(TEXT, b" " * (2**20 + 1)), id="over a MiB"),
        pytest.param(b"\x00" * 100, id="zeros"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
    ],
)
def test_a_protocol_violation_ends_the_connection(gateway, data):
    with upgrade(gateway) as client:
        with suppress(OSError):
            client.send(data)
        assert client.read_close() in {DROPPED, 1002, 1007, 1009}
    wait_until(lambda: only_fixtures_are_connected(gateway))


def test_binary_frames_are_refused(gateway):
    with upgrade(gateway) as client:
        client.send(make_frame(BINARY, b'["AAPL"]'))
        assert client.read_close() == 4503


def test_a_client_that_leaves_before_its_replies_is_removed_at_once(gateway):
    with upgrade(gateway) as client:
        client.send(PING_REQUEST * 3 + make_frame(CLOSE, b"\x03\xe8"))
        assert client.read_close() == 1000
        wait_until(lambda: only_fixtures_are_connected(gateway))
    assert gateway.metric('closed_total{reason="slow"}') == 0
