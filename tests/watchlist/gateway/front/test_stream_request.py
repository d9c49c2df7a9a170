"""Which requests for streams the front serves itself."""

import pytest

from tests.support.gateway.streams import make_stream_request
from watchlist.gateway.front.plain_request import MAX_HEAD_BYTES
from watchlist.gateway.front.stream_request import parse_stream_request

PLAIN = make_stream_request()


def test_a_plain_request_is_parsed_up_to_its_end():
    request = parse_stream_request(PLAIN + b"more")
    assert (request.size, request.query) == (len(PLAIN), b"symbols=AAPL")
    assert request.headers["accept"] == "text/event-stream"


@pytest.mark.parametrize("path", [b"/stream", b"/stream/", b"/stream?", b"/stream/?a=1&b"])
def test_the_path_may_end_with_a_slash_and_have_a_query(path):
    request = parse_stream_request(PLAIN.replace(b"/stream?symbols=AAPL", path))
    assert request.query == path.partition(b"?")[2]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PLAIN[:-1],
        make_stream_request(method="HEAD"),
        make_stream_request(method="POST"),
        PLAIN.replace(b"/stream", b"/streams"),
        PLAIN.replace(b"/stream", b"/ws"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b"AAPL", "Ä".encode()),
        PLAIN.replace(b"Host: localhost\r\n", b""),
        make_stream_request("symbols=A", "Host: b"),
        make_stream_request("symbols=A", "Content-Length: 1"),
        make_stream_request("symbols=A", "Transfer-Encoding: chunked"),
        make_stream_request("symbols=A", "Upgrade: h2c"),
        make_stream_request("symbols=A", "Origin: ftp://a"),
        make_stream_request("symbols=A", "Cookie: a=1", "Cookie: b=2"),
        make_stream_request("symbols=A", "X_Name: 1"),
        make_stream_request("symbols=" + "A" * MAX_HEAD_BYTES),
    ],
)
def test_any_other_request_is_left_to_daphne(data):
    assert parse_stream_request(data) is None
