"""Which upgrade requests the front serves itself, and how it answers them."""

import random

import pytest

from tests.support.gateway.raw_socket import make_upgrade
from watchlist.gateway.front.handshake import accept_response, parse_upgrade, refusal_response
from watchlist.gateway.front.plain_request import MAX_HEAD_BYTES

PLAIN = make_upgrade("localhost:8081")


def test_a_plain_upgrade_is_parsed_up_to_its_end():
    upgrade = parse_upgrade(PLAIN + b"\x81\x80\x00\x00\x00\x00")
    assert upgrade.size == len(PLAIN)
    assert upgrade.query == b""
    assert upgrade.headers["host"] == "localhost:8081"
    assert upgrade.offered_extensions == ""


@pytest.mark.parametrize(
    ("path", "query"),
    [("/ws", b""), ("/ws/", b""), ("/ws?", b""), ("/ws?batch=1&x=%00", b"batch=1&x=%00"), ("/ws/?a?b", b"a?b")],
)
def test_the_query_is_kept_as_it_is(path, query):
    assert parse_upgrade(make_upgrade("a", path)).query == query


@pytest.mark.parametrize(
    "line",
    [
        *(
            "Origin: null",
            "Origin: https://prices.example",
            "Origin: http://127.0.0.1:59999",
            "Cookie: sessionid=a1; b=2",
        ),
        *("User-Agent:x", "X-Empty:", "X-Spaces: \t a b \t", "Sec-WebSocket-Extensions: permessage-deflate; a=1, x"),
        "Sec-Fetch-Mode: websocket",
    ],
)
def test_a_usual_header_is_plain(line):
    name, _, value = line.partition(":")
    assert parse_upgrade(make_upgrade("a", "/ws", line)).headers[name.lower()] == value.strip(" \t")


def test_header_names_and_tokens_have_any_case():
    head = PLAIN.replace(b"Upgrade: websocket", b"UPGRADE: WebSocket")
    head = head.replace(b"Connection: Upgrade", b"connection: keep-alive, UPGRADE")
    assert parse_upgrade(head) is not None


def test_an_offered_extension_and_a_host_with_brackets_are_plain():
    head = make_upgrade("[::1]:8081", "/ws", "Sec-WebSocket-Extensions: permessage-deflate")
    assert parse_upgrade(head).offered_extensions == "permessage-deflate"


def test_the_values_of_a_repeated_header_are_joined():
    head = make_upgrade("a", "/ws", "X-Forwarded-For: 1.1.1.1", "x-forwarded-for: 2.2.2.2")
    assert parse_upgrade(head).headers["x-forwarded-for"] == "1.1.1.1,2.2.2.2"


HOSTILE_HEADS = {
    "nothing": b"",
    "half a line": b"GET /ws",
    "no end": PLAIN[:-2],
    "a page": PLAIN.replace(b"GET /ws ", b"GET / "),
    "the status": PLAIN.replace(b"/ws ", b"/ws/status "),
    "another path": PLAIN.replace(b"/ws ", b"/wsx "),
    "two slashes": PLAIN.replace(b"/ws ", b"/ws// "),
    "an encoded path": PLAIN.replace(b"/ws ", b"/%77s "),
    "an absolute URL": PLAIN.replace(b"/ws ", b"http://a/ws "),
    "a fragment": PLAIN.replace(b"/ws ", b"/ws#x "),
    "a fragment behind the query": PLAIN.replace(b"/ws ", b"/ws?a#x "),
    "a tab in the query": PLAIN.replace(b"/ws ", b"/ws?a\tb "),
    "bytes over 127 in the query": PLAIN.replace(b"/ws ", b"/ws?\xff "),
    "bytes over 127 in a header": make_upgrade("a", "/ws", "X: \xff"),
    "POST": PLAIN.replace(b"GET", b"POST"),
    "a small get": PLAIN.replace(b"GET", b"get"),
    "HTTP/1.0": PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/2": PLAIN.replace(b"HTTP/1.1", b"HTTP/2"),
    "no version": PLAIN.replace(b" HTTP/1.1", b""),
    "two spaces": PLAIN.replace(b" HTTP/1.1", b"  HTTP/1.1"),
    "an empty line first": b"\r\n" + PLAIN,
    "bare line feeds": PLAIN.replace(b"\r\n", b"\n"),
    "a bare line feed in a header": make_upgrade("a", "/ws", "X: a\nOrigin: https://evil.example"),
    "a bare carriage return": make_upgrade("a", "/ws", "X: a\rb"),
    "NUL in a header": make_upgrade("a", "/ws", "X: \x00"),
    "a folded header": make_upgrade("a", "/ws", "X: a", " b"),
    "a header without a colon": make_upgrade("a", "/ws", "X"),
    "a header without a name": make_upgrade("a", "/ws", ": x"),
    "a space before the colon": make_upgrade("a", "/ws", "Origin : https://evil.example"),
    "an underscore in a name": make_upgrade("a", "/ws", "X_Forwarded_For: 1.1.1.1"),
    "a long head": make_upgrade("a", "/ws", "X: " + "x" * MAX_HEAD_BYTES),
    "no host": PLAIN.replace(b"Host: localhost:8081\r\n", b""),
    "an empty host": make_upgrade(""),
    "two hosts": make_upgrade("a", "/ws", "Host: b"),
    "a host with a path": make_upgrade("a/b"),
    "a host with a user": make_upgrade("a@b"),
    "a host with an invalid port": make_upgrade("a:x"),
    "two origins": make_upgrade("a", "/ws", "Origin: null", "Origin: null"),
    "an origin without a scheme": make_upgrade("a", "/ws", "Origin: prices.example"),
    "an origin with a path": make_upgrade("a", "/ws", "Origin: https://a/"),
    "an origin with a user": make_upgrade("a", "/ws", "Origin: https://a@b"),
    "an origin with an unusual port": make_upgrade("a", "/ws", "Origin: https://a:65536"),
    "an origin of another scheme": make_upgrade("a", "/ws", "Origin: file://a"),
    "two cookies": make_upgrade("a", "/ws", "Cookie: a=1", "Cookie: b=2"),
    "no upgrade": PLAIN.replace(b"Upgrade: websocket", b"X: websocket"),
    "another upgrade": PLAIN.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
    "two upgrades": PLAIN.replace(b"Upgrade: websocket", b"Upgrade: h2c, websocket"),
    "no connection": PLAIN.replace(b"Connection: Upgrade\r\n", b""),
    "a connection to keep": PLAIN.replace(b"Connection: Upgrade", b"Connection: keep-alive"),
    "a connection with part of the word": PLAIN.replace(b"Connection: Upgrade", b"Connection: upgrades"),
    "no version of WebSocket": PLAIN.replace(b"Sec-WebSocket-Version: 13\r\n", b""),
    "version 8": PLAIN.replace(b"Version: 13", b"Version: 8"),
    "version 013": PLAIN.replace(b"Version: 13", b"Version: 013"),
    "two versions": make_upgrade("a", "/ws", "Sec-WebSocket-Version: 13"),
    "no key": PLAIN.replace(b"Sec-WebSocket-Key", b"X"),
    "a short key": PLAIN.replace(b"Key: dGhl", b"Key: d"),
    "a key without padding": PLAIN.replace(b"ZQ==", b"ZQaa"),
    "a key with a comma": PLAIN.replace(b"Key: d", b"Key: ,"),
    "two keys": make_upgrade("a", "/ws", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "two offers of extensions": make_upgrade("a", "/ws", "Sec-WebSocket-Extensions: a", "Sec-WebSocket-Extensions: b"),
    "a body": make_upgrade("a", "/ws", "Content-Length: 0"),
    "a chunked body": make_upgrade("a", "/ws", "Transfer-Encoding: chunked"),
    "an expectation": make_upgrade("a", "/ws", "Expect: 100-continue"),
    "a subprotocol": make_upgrade("a", "/ws", "Sec-WebSocket-Protocol: x"),
    "TLS": b"\x16\x03\x01\x02\x00",
    "zeros": b"\x00" * MAX_HEAD_BYTES,
}


@pytest.mark.parametrize("head", HOSTILE_HEADS.values(), ids=HOSTILE_HEADS)
def test_any_other_request_is_left_to_the_http_server(head):
    assert parse_upgrade(head) is None


def test_the_largest_head_is_parsed_and_one_byte_more_is_not():
    room = MAX_HEAD_BYTES - len(make_upgrade("a", "/ws", "X: "))
    assert parse_upgrade(make_upgrade("a", "/ws", "X: " + "x" * room)) is not None
    assert parse_upgrade(make_upgrade("a", "/ws", "X: " + "x" * (room + 1))) is None


def test_changed_bytes_of_a_head_are_parsed_or_left_and_never_raise():
    rng = random.Random(12)
    for _ in range(20_000):
        head = bytearray(PLAIN)
        for _ in range(rng.randrange(1, 4)):
            start = rng.randrange(len(head))
            head[start : start + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        upgrade = parse_upgrade(bytes(head))
        assert upgrade is None or head[: upgrade.size].endswith(b"\r\n\r\n")


def test_the_key_of_the_standard_is_answered_as_the_standard_says():
    response = accept_response(parse_upgrade(PLAIN))
    assert response.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in response
    assert b"Extensions" not in response
    assert response.endswith(b"\r\n\r\n")


def test_negotiated_extensions_are_in_the_response():
    assert b"\r\nSec-WebSocket-Extensions: a; b=1\r\n" in accept_response(parse_upgrade(PLAIN), "a; b=1")


@pytest.mark.parametrize(("seconds", "line"), [(0, b""), (5, b"Retry-After: 5\r\n")])
def test_a_refusal_has_no_body_and_says_when_to_retry(seconds, line):
    assert refusal_response(429, "Too Many Requests", seconds) == (
        b"HTTP/1.1 429 Too Many Requests\r\nServer: stockwatch\r\n"
        + line
        + b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
