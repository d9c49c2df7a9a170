"""Invalid, slow and incomplete handshakes."""

import socket
import struct
from contextlib import ExitStack, suppress

import pytest

from tests.support.gateway.hostile import answers_a_ping, only_fixtures_are_connected
from tests.support.gateway.raw_socket import DROPPED, dial, make_upgrade, upgrade
from tests.support.waiting import wait_until


def test_a_handshake_byte_by_byte_is_accepted(gateway):
    with dial(gateway) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in make_upgrade(gateway.address):
            client.send(bytes((byte,)))
        assert client.read_head()[0] == 101
        assert answers_a_ping(client)


def test_incomplete_handshakes_do_not_block_other_clients(gateway):
    with ExitStack() as stack:
        for part in (b"", b"GET /ws HTTP/1.1\r\nHost: a\r\n", b"\x16\x03\x01", make_upgrade("a")[:-2]) * 20:
            stack.enter_context(dial(gateway)).send(part)
        with upgrade(gateway) as client:
            assert answers_a_ping(client)


def test_a_half_closed_connection_ends(gateway):
    with upgrade(gateway) as client:
        assert answers_a_ping(client)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_close() == DROPPED
    wait_until(lambda: only_fixtures_are_connected(gateway))


def test_a_reset_connection_ends(gateway):
    with upgrade(gateway) as client:
        client.send_text('["AAPL"]')
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: only_fixtures_are_connected(gateway))


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(make_upgrade("a", "/ws", "X: " + "x" * 20_000), id="a header of 20,000 bytes"),
        pytest.param(make_upgrade("a", "/ws?" + "x" * 20_000), id="a URL of 20,000 bytes"),
        pytest.param(make_upgrade("a", "/ws", *(f"X-{number}: x" for number in range(1000))), id="1,000 headers"),
        pytest.param(make_upgrade("a", "/ws", "Sec-WebSocket-Version: 7"), id="two versions"),
        pytest.param(make_upgrade("a").replace(b"Key: dGhl", b"Key: d"), id="a short key"),
        pytest.param(make_upgrade("a").replace(b"GET", b"POST"), id="POST"),
        pytest.param(make_upgrade("a").replace(b"Host: a\r\n", b""), id="no host"),
        pytest.param(make_upgrade("a", "/ws", "Origin: \x00\xff"), id="an origin of control bytes"),
        pytest.param(make_upgrade("a", "/ws?heartbeat=%ff%00"), id="a heartbeat of control bytes"),
        pytest.param(b"\x00" * 70_000, id="zeros"),
        pytest.param(b"\r\n" * 1000, id="empty lines"),
    ],
)
def test_an_invalid_handshake_is_refused_or_dropped(gateway, request_bytes):
    with dial(gateway) as client:
        with suppress(OSError):
            client.send(request_bytes)
            client.sock.shutdown(socket.SHUT_WR)
        response = b""
        with suppress(ConnectionError):
            while more := client.sock.recv(65536):
                response += more
        assert not response.startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "", "*", "https://prices.example.evil.test", "https://evil-prices.example"),
        *("http://prices.example", "https://prices.example:444", "https://PRICES.example.", "https://prices.example/"),
        *("https://prices.example@evil.test", "https://prices.example, https://evil.example", "prices.example"),
    ],
)
def test_an_unlisted_origin_is_refused(gateway, origin):
    with dial(gateway) as client:
        client.send(make_upgrade(gateway.address, "/ws", f"Origin: {origin}"))
        assert client.read_head()[0] in {400, 403}


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-for: 9.9.9.9\r\nX-Forwarded-For"]
)
def test_a_forwarded_address_from_a_client_is_ignored(gateway, header):
    with upgrade(gateway, f"{header}: 203.0.113.9") as client:
        assert answers_a_ping(client)
        wait_until(lambda: gateway.redis.keys("ratelimit:*"))
    assert gateway.redis.keys("ratelimit:*") == [b"ratelimit:127.0.0.1"]
