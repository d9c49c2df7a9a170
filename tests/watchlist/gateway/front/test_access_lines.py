"""The ids of connections, and the lines about connections that end or are refused."""

import re

import pytest
from structlog.testing import capture_logs

from tests.support.gateway.front import read_all, read_until
from tests.support.gateway.raw_socket import CLOSE, TEXT, make_frame, make_upgrade
from tests.support.gateway.streams import make_stream_request
from tests.support.waiting import until
from watchlist.gateway.sockets.access_lines import access_lines

SENT = "X-Request-ID: from-the-proxy"
LIST = make_frame(TEXT, b'{"action":"list"}')


@pytest.fixture(autouse=True)
def write_lines(monkeypatch):
    monkeypatch.setattr(access_lines, "wants_line", lambda _logger, _event: True)


async def test_the_id_of_a_trusted_proxy_is_in_the_answer_and_in_the_line_of_the_end(start_front):
    front = start_front(trusted_proxies=("127.0.0.0/8",))
    with capture_logs() as lines:
        client = await front.dial(make_upgrade("a", "/ws?token=hunter2", SENT, "X-Forwarded-For: 203.0.113.7"))
        assert b"\r\nX-Request-ID: from-the-proxy\r\n" in await read_until(client, b"\r\n\r\n")
        await until(lambda: front.sessions == 1)
        client.sendall(LIST + LIST + make_frame(CLOSE, (1000).to_bytes(2, "big")))
        await read_all(client)
        client.close()
        await front.is_empty()
    [line] = [line for line in lines if line["event"] == "connection ended"]
    expected = {"route": "/ws", "connection_id": "from-the-proxy", "messages": 2, "code": 1000, "account": None}
    assert expected.items() <= line.items()
    assert line["address"] == "203.0.113.7"
    assert "hunter2" not in repr(lines)


async def test_an_id_of_a_client_is_replaced(start_front):
    front = start_front()
    client = await front.dial(make_upgrade("a", "/ws", SENT))
    head = await read_until(client, b"\r\n\r\n")
    assert re.search(rb"\r\nX-Request-ID: [0-9a-f]{16}\r\n", head)
    client.close()
    await front.is_empty()


@pytest.mark.parametrize(
    ("frame", "code"), [(b"", 1006), (make_frame(CLOSE, b""), 1005), (make_frame(TEXT, b"nothing"), 4501)]
)
async def test_the_line_has_the_close_code(start_front, frame, code):
    front = start_front()
    with capture_logs() as lines:
        client = await front.upgrade(more=frame)
        await until(lambda: front.sessions == 1 or lines)
        client.shutdown(1)
        await until(lambda: lines)
    assert lines[0]["code"] == code
    client.close()
    await front.is_empty()


async def test_a_refused_connection_has_a_line_with_its_reason(start_front):
    front = start_front(allowed_origins=("https://a.example",))
    with capture_logs() as lines:
        client = await front.dial(make_upgrade("a", "/ws", "Origin: https://b.example"))
        await read_all(client)
    [line] = lines
    assert (line["event"], line["status"], line["reason"]) == ("connection refused", 403, "origin")
    client.close()
    await front.is_empty()


async def test_streams_have_lines_too(start_front):
    front = start_front()
    with capture_logs() as lines:
        client = await front.dial(make_stream_request("symbols=AAPL&token=hunter2"))
        await read_until(client, b"\r\n\r\n")
        client.close()
        await until(lambda: lines)
        refused = await front.dial(make_stream_request("symbols=hunter2"))
        await read_all(refused)
        await until(lambda: len(lines) == 2)
    assert [(line["event"], line["route"], line.get("code")) for line in lines] == [
        ("connection ended", "/stream", None),
        ("connection refused", "/stream", None),
    ]
    assert "hunter2" not in repr(lines)
    refused.close()
    await front.is_empty()


async def test_without_access_lines_nothing_is_logged(start_front, monkeypatch):
    monkeypatch.setattr(access_lines, "wants_line", lambda _logger, _event: False)
    front = start_front()
    with capture_logs() as lines:
        client = await front.upgrade()
        client.close()
        await front.is_empty()
    assert lines == []
