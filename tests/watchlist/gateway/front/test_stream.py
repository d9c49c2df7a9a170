"""Streams on the front, over real sockets: answers, time limits and ends."""

import asyncio
import json
import re
import socket
import struct
from functools import partial

import pytest

from tests.support.gateway.fakes import FakePriceLayer
from tests.support.gateway.front import read, read_all, read_until
from tests.support.gateway.streams import make_stream_request, parse_events
from tests.support.waiting import until
from watchlist.gateway.front import stream as stream_module
from watchlist.gateway.streams.stream_session import COMMENT_SECONDS

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


@pytest.fixture
def start_stream_front(start_front):
    """Returns a function that starts a front whose price layer is in memory."""
    return partial(start_front, layer=FakePriceLayer())


async def request_stream(front, query="symbols=AAPL", *headers):
    """Returns a client, and the head of the response."""
    client = await front.dial(make_stream_request(query, *headers))
    return client, (await read_until(client, b"\r\n\r\n")).decode()


async def open_stream(front, query="symbols=AAPL"):
    """Returns a client whose stream was accepted, after the first line of the stream."""
    client, head = await request_stream(front, query)
    assert head.startswith("HTTP/1.1 200 OK\r\n"), head
    assert (await read_until(client, b"\n\n")).startswith(b"retry: ")
    return client


async def read_problem(front, query, *headers):
    """Returns the status and the body of a refused stream."""
    client, head = await request_stream(front, query, *headers)
    assert "Content-Type: application/problem+json\r\n" in head
    body = json.loads(await read_all(client))
    client.close()
    return int(head.split()[1]), body


def publish(front, symbol, seq_id, size=0):
    update = {"symbol": symbol, "price": 1.5, "timestamp": 1766480000000000, "seq_id": seq_id, "pad": "x" * size}
    hub = front.gateway.hub
    hub.receive(f"prices.{symbol}".encode(), json.dumps(update).encode())
    hub.flush()


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def test_a_stream_has_the_headers_of_server_sent_events(start_stream_front, tunings):
    _, head = await request_stream(start_stream_front())
    lines = head.split("\r\n")
    assert re.fullmatch("X-Request-ID: [0-9a-f]{16}", lines.pop(-4))
    assert lines == [
        "HTTP/1.1 200 OK",
        "Server: stockwatch",
        "Content-Type: text/event-stream",
        "Cache-Control: no-store",
        "X-Accel-Buffering: no",
        "X-Content-Type-Options: nosniff",
        "Access-Control-Allow-Origin: *",
        "Connection: close",
        "",
        "",
    ]
    assert tunings == [True]


async def test_updates_arrive_as_events_with_the_published_bytes(start_stream_front):
    front = start_stream_front()
    client = await open_stream(front, "symbols=AAPL,GOOG")
    for number, symbol in enumerate(("AAPL", "GOOG"), 1):
        publish(front, symbol, number)
        (event,) = parse_events((await read_until(client, b"\n\n")).decode())
        assert (event.event, event.id) == ("update", str(number))
        assert json.loads(event.data)["symbol"] == symbol
    assert (front.sessions, front.http_count(), front.handed_over) == (1, 0, [])


async def test_a_stream_counts_as_a_socket_in_the_limits(start_stream_front):
    front = start_stream_front(max_per_address=1)
    client = await open_stream(front)
    status, body = await read_problem(front, "symbols=AAPL")
    assert (status, body["reason"]) == (429, "address full")
    client.close()
    await front.is_empty()
    await open_stream(front)


@pytest.mark.parametrize(
    ("options", "query", "headers", "status", "reason"),
    [
        ({}, "symbols=XXXX", (), 404, "unknown symbols"),
        ({}, "symbols=", (), 400, "query"),
        ({}, "symbols=AAPL&max_hz=x", (), 400, "query"),
        ({"max_symbols": 1}, "symbols=AAPL,GOOG", (), 400, "query"),
        ({"private": True}, "symbols=AAPL", (), 401, "sign in"),
        ({"allowed_origins": ("https://a.example",)}, "symbols=AAPL", ("Origin: https://b.example",), 403, "origin"),
    ],
)
async def test_a_refused_stream_gets_a_problem(start_stream_front, options, query, headers, status, reason):
    front = start_stream_front(**options)
    found, body = await read_problem(front, query, *headers)
    assert (found, body["status"], body["reason"]) == (status, status, reason)
    assert front.gateway.counts.refused == {reason: 1}
    await front.is_empty()
    assert front.gateway.connections.pending_count == 0


async def test_other_options_of_the_socket_have_no_effect(start_stream_front):
    front = start_stream_front()
    await open_stream(front, "symbols=AAPL&batch=1&notice=1&shared=x")
    (session,) = front.gateway.sessions
    assert (session.options.batch, session.options.notice, session.options.shared) == (False, False, "")


async def test_a_comment_is_sent_while_no_update_comes(start_stream_front):
    front = start_stream_front()
    client = await open_stream(front)
    await front.advance(COMMENT_SECONDS)
    assert await read(client, 3) == b":\n\n"


async def stall(front):
    """Opens a stream whose client does not read, and publishes until its outbox is stalled.

    Returns the client and the last seq_id.
    """
    client = await open_stream(front)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    (session,) = front.gateway.sessions
    seq_id = 0
    while session.outbox.open:
        seq_id += 1
        publish(front, "AAPL", seq_id, size=8000)
    return client, seq_id


async def test_a_client_that_reads_late_gets_whole_events_and_then_the_newest_only(start_stream_front):
    front = start_stream_front()
    client, begun = await stall(front)
    for seq_id in range(begun + 1, begun + 101):
        publish(front, "AAPL", seq_id, size=8000)
    data = b""
    while f"id: {begun + 100}\n".encode() not in data or not data.endswith(b"\n\n"):
        data += await read_until(client, b"\n\n")
    ids = [int(event.id) for event in parse_events(data.decode())]
    assert ids == [*range(1, ids[-2] + 1), begun + 100]
    assert ids[-2] in (begun, begun - 1)


async def test_a_client_that_never_reads_is_reset(start_stream_front):
    front = start_stream_front(write_wait=1.0)
    client, _ = await stall(front)
    for _ in range(2):  # a step of over a second would count as a late sweep
        await front.advance(0.6)
    assert (front.sessions, front.gateway.hub.subscriptions) == (0, 0)
    assert front.gateway.counts.closed == {"slow": 1}
    with pytest.raises(ConnectionResetError):
        await read_all(client)
    await front.is_empty()


@pytest.mark.parametrize("leave", [socket.socket.close, reset, lambda client: client.shutdown(socket.SHUT_WR)])
async def test_a_client_that_leaves_frees_all(start_stream_front, leave):
    front = start_stream_front()
    client = await open_stream(front)
    assert front.gateway.hub.symbols == ["AAPL"]
    leave(client)
    await front.is_empty()
    assert (front.gateway.hub.symbols, front.gateway.connections.total) == ([], 0)
    await until(lambda: not front.front._poller._handlers)


async def test_a_client_that_leaves_while_events_wait_frees_all(start_stream_front):
    front = start_stream_front()
    client, _ = await stall(front)
    reset(client)
    await front.is_empty()
    assert front.gateway.hub.symbols == []


async def test_a_client_that_sends_much_after_its_request_is_cut_off(start_stream_front, monkeypatch):
    monkeypatch.setattr(stream_module, "MAX_INPUT_BYTES", 20_000)
    front = start_stream_front()
    client = await open_stream(front)
    client.send(b"x" * 10_000)
    (session,) = front.gateway.sessions
    await until(lambda: session.outbox.transport._input_bytes == 10_000)
    client.send(b"x" * 10_001)
    await front.is_empty()


async def test_a_drain_ends_the_response_and_the_client_may_read_all(start_stream_front):
    front = start_stream_front()
    client = await open_stream(front)
    publish(front, "AAPL", 1)
    front.gateway.drain()
    data = await read_all(client)
    assert [event.id for event in parse_events(data.decode())] == ["1"]
    assert front.sessions == 0
    assert front.gateway.counts.closed == {"shutdown": 1}
    client.close()
    await front.is_empty()
    status, body = await read_problem(front, "symbols=AAPL")
    assert (status, body["reason"]) == (503, "shutdown")


async def test_a_thousand_streams_that_come_and_go_leave_nothing(start_stream_front):
    front = start_stream_front(max_http=1000)
    request = make_stream_request("symbols=AAPL,GOOG")

    async def visit(number):
        client = await front.dial(request[: None if number % 5 else number % 60])
        if number % 5:
            await read_until(client, b"\r\n\r\n")
        (socket.socket.close if number % 7 else reset)(client)

    for start in range(0, 1000, 50):
        await asyncio.gather(*(visit(number) for number in range(start, start + 50)))
        publish(front, "AAPL", start + 1)
    await front.is_empty()
    assert (front.http_count(), front.gateway.connections.total, front.gateway.hub.symbols) == (0, 0, [])
    assert not front.front._poller._handlers
