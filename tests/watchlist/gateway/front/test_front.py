"""Connections to the front, over real sockets: upgrades, hand-overs, time limits and ends."""

import asyncio
import errno
import json
import re
import socket
import struct

import pytest
import structlog

from tests.support.gateway.front import read, read_all, read_until
from tests.support.gateway.raw_socket import BINARY, CLOSE, PING, TEXT, make_frame, make_upgrade
from tests.support.waiting import until
from watchlist.gateway.framing import frame_payload, split_frames, text_frame
from watchlist.gateway.front import front as front_module
from watchlist.gateway.front import lingering
from watchlist.gateway.front.lingering import LINGER_SECONDS
from watchlist.gateway.front.unread import FIRST_BYTE_SECONDS
from watchlist.gateway.messages import make_state
from watchlist.gateway.protocol import CloseCode

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test

PING_REQUEST = make_frame(TEXT, b'{"action":"ping","id":"1"}')
PONG_REPLY = text_frame(b'{"type":"pong","id":"1","timestamp":1766480000000000}')


def close_frame(code):
    return b"\x88\x02" + int(code).to_bytes(2, "big")


def reset(client):
    """Ends a connection with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def test_a_request_behind_the_upgrade_is_answered(start_front):
    front = start_front()
    client = await front.upgrade(more=PING_REQUEST)
    assert await read(client, len(PONG_REPLY)) == PONG_REPLY
    assert front.sessions == 1
    assert front.gateway.counts.direct_writes
    assert front.handed_over == []


async def test_frames_byte_by_byte_are_read(start_front):
    client = await start_front().upgrade()
    for at in range(len(PING_REQUEST)):
        await asyncio.get_running_loop().sock_sendall(client, PING_REQUEST[at : at + 1])
        await asyncio.sleep(0)
    assert await read(client, len(PONG_REPLY)) == PONG_REPLY


async def test_a_ping_is_answered_and_a_pong_counts(start_front):
    front = start_front()
    client = await front.upgrade(more=make_frame(PING, b"abc"))
    assert await read(client, 5) == b"\x8a\x03abc"
    (session,) = front.gateway.sessions
    await front.advance(5.0)
    client.send(make_frame(10))
    await until(lambda: session.last_pong_at == session.opened_at + 5.0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", id="a page"),
        pytest.param(make_upgrade("a", "/elsewhere"), id="another path"),
        pytest.param(make_upgrade("a")[:-1], id="an upgrade without its last byte"),
        pytest.param(b"\x16\x03\x01", id="TLS"),
        pytest.param(b"G", id="one byte"),
    ],
)
async def test_any_other_connection_is_handed_over_with_all_its_bytes(start_front, data):
    front = start_front()
    await front.dial(data)
    await until(lambda: front.handed_over)
    assert front.handed_over[0].recv(1000) == data
    assert front.sessions == 0


async def test_a_connection_may_send_its_first_byte_later(start_front):
    front = start_front()
    clients = [await front.dial() for _ in range(2)]
    await until(lambda: len(front.front.unread) == 2)
    clients[0].send(make_upgrade("a"))
    clients[1].send(b"GET")
    assert (await read_until(clients[0], b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    await until(lambda: front.handed_over)
    assert len(front.front.unread) == 0


async def test_a_connection_without_a_byte_is_closed_at_its_time_limit(start_front):
    front = start_front(max_http=10)
    first = await front.dial()
    await until(lambda: len(front.front.unread) == 1)
    await front.advance(FIRST_BYTE_SECONDS - 1)
    await front.dial()
    await until(lambda: front.http_count() == 2)
    await front.advance(1)
    assert await read_all(first) == b""
    assert (len(front.front.unread), front.http_count()) == (1, 1)


async def test_an_address_with_too_many_unread_connections_is_handed_over_to_be_refused(start_front):
    front = start_front(max_http=2)
    clients = [await front.dial() for _ in range(3)]
    await until(lambda: front.handed_over)
    assert (len(front.front.unread), front.http_count()) == (2, 2)
    clients[0].close()
    await until(lambda: front.http_count() == 1)


async def test_open_sockets_are_no_http_connections(start_front):
    front = start_front(max_http=1)
    for _ in range(3):
        await front.upgrade()
    assert (front.sessions, front.http_count()) == (3, 0)


async def test_the_process_is_tuned_once_at_the_first_upgrade(start_front, tunings):
    front = start_front()
    await front.dial(b"GET")
    await until(lambda: front.handed_over)
    assert tunings == []
    for _ in range(2):
        await front.upgrade()
    assert tunings == [True]


async def test_a_client_that_leaves_at_any_step_leaves_nothing(start_front):
    front = start_front(max_http=10)
    for data in (b"", make_upgrade("a"), make_upgrade("a") + make_frame(TEXT, b'["AAPL"]')[:9]):
        for leave in (socket.socket.close, reset):
            leave(await front.dial(data))
    half_closed = await front.upgrade()
    half_closed.shutdown(socket.SHUT_WR)
    assert await read_all(half_closed) == b""
    await front.is_empty()
    assert front.http_count() == 0
    assert front.gateway.connections.total == 0
    assert not front.gateway.connections._pending


async def test_a_refused_client_reads_the_response_even_if_it_has_sent_frames(start_front):
    front = start_front(allowed_origins=("https://a.example",))
    client = await front.dial(make_upgrade("a", "/ws", "Origin: https://b.example") + PING_REQUEST)
    start = rb"HTTP/1\.1 403 Forbidden\r\nServer: stockwatch\r\nX-Request-ID: [0-9a-f]{16}\r\n"
    assert re.fullmatch(start + rb"Content-Length: 0\r\nConnection: close\r\n\r\n", await read_all(client))
    assert front.gateway.counts.refused == {"origin": 1}
    client.close()
    await front.is_empty()


async def test_each_refusal_has_its_status(start_front):
    async def status(front, path="/ws", *headers):
        return int((await read_all(await front.dial(make_upgrade("a", path, *headers)))).split()[1])

    assert await status(start_front(), "/ws?heartbeat=0") == 400
    assert await status(start_front(private=True), "/ws", "Cookie: sessionid=") == 401
    full = start_front(max_connections=1)
    await full.upgrade()
    assert await status(full) == 429
    crowded = start_front(max_per_address=1)
    await crowded.upgrade()
    assert await status(crowded) == 429
    draining = start_front()
    draining.gateway.drain()
    assert await status(draining) == 503


async def test_a_client_that_connects_too_often_is_told_how_long_to_wait(start_front):
    front = start_front(rate_per_second=0.01, rate_burst=2)
    heads = [await read_until(await front.dial(make_upgrade("a")), b"\r\n\r\n") for _ in range(3)]
    refused = [head for head in heads if b" 429 " in head]
    assert len(refused) == 1
    assert b"Retry-After: " in refused[0]


async def test_connections_are_refused_while_the_tickers_cannot_be_read(start_front):
    async def load():
        raise OSError("no database")

    response = await read_all(await start_front(load=load).dial(make_upgrade("a")))
    assert response.startswith(b"HTTP/1.1 503 ")


async def test_a_private_front_looks_up_the_session_cookie(start_front, monkeypatch):
    front = start_front(private=True)

    async def find(key):
        return None, key

    monkeypatch.setattr(front.gateway.admission, "find_account", find)
    for _ in range(2):  # before and after the start of the gateway
        response = await read_all(await front.dial(make_upgrade("a", "/ws", "Cookie: sessionid=abc")))
        assert response.startswith(b"HTTP/1.1 503 ")


async def test_a_close_frame_is_answered_and_then_our_side_ends_first(start_front):
    front = start_front()
    client = await front.upgrade(more=make_frame(CLOSE, b"\x03\xe8bye") + PING_REQUEST)
    assert await read_all(client) == close_frame(1000)
    assert front.sessions == 0
    assert len(front.front.lingering) == 1
    client.close()
    await front.is_empty()


async def test_the_gateway_waits_for_the_answer_to_its_close_frame(start_front):
    front = start_front()
    client = await front.upgrade()
    front.gateway.drain()
    assert await read(client, 4) == close_frame(4001)
    assert front.sessions == 1
    client.send(PING_REQUEST + make_frame(CLOSE, b"\x0f\xa1"))
    assert await read_all(client) == b""
    assert front.sessions == 0


async def test_a_client_that_does_not_answer_a_close_frame_is_reset(start_front):
    front = start_front()
    client = await front.upgrade()
    front.gateway.drain()
    assert await read(client, 4) == close_frame(4001)
    await front.advance(LINGER_SECONDS + 0.1)
    with pytest.raises(ConnectionResetError):
        await read_all(client)
    assert front.sessions == 0


async def test_a_client_that_does_not_close_its_side_is_closed_at_a_time_limit(start_front):
    front = start_front()
    client = await front.upgrade(more=make_frame(CLOSE))
    assert await read_all(client) == b"\x88\x00"
    await front.advance(LINGER_SECONDS - 0.1)
    assert len(front.front.lingering) == 1
    await front.advance(0.1)
    await front.is_empty()


async def test_a_closed_client_that_keeps_sending_is_cut_off(start_front, monkeypatch):
    monkeypatch.setattr(lingering, "MAX_DROPPED_BYTES", 100_000)
    front = start_front()
    client = await front.upgrade(more=make_frame(CLOSE))

    async def send():
        while True:
            await asyncio.get_running_loop().sock_sendall(client, b"x" * 10_000)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send(), 60)
    await front.is_empty()


async def test_refused_clients_that_stay_use_up_no_file_descriptors(start_front, monkeypatch):
    monkeypatch.setattr(lingering, "MAX_SOCKETS", 3)
    front = start_front(allowed_origins=("https://a.example",))
    clients = [await front.dial(make_upgrade("a", "/ws", "Origin: https://b.example")) for _ in range(8)]
    for client in clients:
        assert (await read_all(client)).startswith(b"HTTP/1.1 403 ")
    assert len(front.front.lingering) == 3


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(make_frame(TEXT, b"[]", masked=False), 1002, id="unmasked"),
        pytest.param(make_frame(TEXT, b"\xff"), 1007, id="invalid UTF-8"),
        pytest.param(make_frame(TEXT, b" " * 65_537), 4502, id="too large"),
        pytest.param(b"\x81\xff" + (2**20).to_bytes(8, "big") + bytes(4), 4502, id="a length of 1 MiB"),
        pytest.param(b"\x81\xff" + (2**20 + 1).to_bytes(8, "big") + bytes(4), 1009, id="a length over 1 MiB"),
        pytest.param(b"\x81\xff" + b"\xff" * 8 + bytes(4), 1009, id="the greatest length"),
        pytest.param(make_frame(10) * 1001, 4013, id="too many frames"),
    ],
)
async def test_a_frame_that_ends_the_connection_is_answered_with_its_code(start_front, data, code):
    front = start_front()
    client = await front.upgrade(more=data)
    assert await read_all(client) == close_frame(code)
    client.close()
    await front.is_empty()


async def test_a_binary_message_is_closed_by_the_session(start_front):
    client = await start_front().upgrade(more=make_frame(BINARY, b"x"))
    assert await read(client, 4) == close_frame(4503)


async def test_a_frame_that_ends_the_connection_is_not_answered_twice(start_front):
    front = start_front()
    client = await front.upgrade()
    front.gateway.drain()
    client.send(make_frame(TEXT, b"\xff"))
    assert await read_all(client) == close_frame(4001)


async def stall(front, frames=0):
    """Returns a client that reads nothing, its session, whose outbox is stalled, and how many frames were sent."""
    client = await front.upgrade()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    (session,) = front.gateway.sessions
    while session.outbox.open:
        session.outbox.send([numbered_message(frames)])
        frames += 1
    return client, session, frames


def numbered_message(number):
    """Returns a numbered message of 8 KB."""
    return make_state(f"key {number}", json.dumps({"n": number, "pad": "x" * 8000}).encode())


def numbers(data):
    """Returns the numbers of the frames in `data`, in order."""
    return [json.loads(frame_payload(frame))["n"] for frame in split_frames(data)]


async def test_a_client_that_reads_late_gets_all_frames_unchanged_and_in_order(start_front):
    front = start_front()
    client, session, frames = await stall(front)
    for number in range(frames, frames + 50):
        session.outbox.send([numbered_message(number)])
    total = sum(len(numbered_message(number).frame) for number in range(frames + 50))
    assert numbers(await read(client, total)) == list(range(frames + 50))
    assert session.outbox.open


async def test_a_ping_to_a_full_socket_is_sent_behind_the_frames(start_front):
    front = start_front()
    client, session, frames = await stall(front)
    session.outbox.transport.send_ping()
    total = sum(len(numbered_message(number).frame) for number in range(frames))
    assert numbers(await read(client, total)) == list(range(frames))
    assert await read(client, 2) == b"\x89\x00"


async def test_a_close_frame_to_a_full_socket_is_sent_behind_the_frame_that_was_begun(start_front):
    front = start_front()
    client, session, _ = await stall(front)
    session.close(CloseCode.SHUTDOWN, 1000.0)
    client.send(make_frame(CLOSE, b"\x0f\xa1"))
    data = await read_all(client)
    assert data.endswith(close_frame(4001))
    assert numbers(data[:-4])


async def test_a_client_that_never_reads_is_reset(start_front):
    front = start_front(write_wait=1.0)
    await stall(front)
    for _ in range(4):  # a step of over a second would count as a late sweep
        await front.advance(0.6)
    assert front.sessions == 0
    assert front.gateway.counts.closed == {"slow": 1}
    await front.is_empty()


async def test_a_client_that_leaves_while_frames_wait_leaves_nothing(start_front):
    front = start_front()
    client, _, _ = await stall(front)
    reset(client)
    await front.is_empty()


async def test_a_departing_client_that_does_not_read_is_reset_at_a_time_limit(start_front):
    front = start_front()
    client, _, _ = await stall(front)
    client.send(make_frame(CLOSE))
    await until(lambda: len(front.front.lingering) == 1)
    await front.advance(LINGER_SECONDS)
    await front.is_empty()


async def test_an_error_in_a_handler_ends_only_its_connection(start_front, monkeypatch):
    front = start_front()
    good, bad = await front.upgrade(), await front.upgrade()
    first, second = front.gateway.sessions

    def fail(*_):
        raise ValueError("test")

    monkeypatch.setattr(type(second), "receive_ping", fail)
    bad.send(make_frame(PING))
    with pytest.raises(ConnectionResetError):
        await read_all(bad)
    good.send(PING_REQUEST)
    assert await read(good, len(PONG_REPLY)) == PONG_REPLY
    assert list(front.gateway.sessions) == [first]


async def test_an_error_while_a_connection_is_served_ends_only_this_connection(start_front, monkeypatch):
    front = start_front()
    good = await front.upgrade()

    def fail(*_, **__):
        raise ValueError("test")

    with monkeypatch.context() as patch:
        patch.setattr(front.gateway.connections, "open", fail)
        bad = await front.upgrade(more=PING_REQUEST)
        assert await read_all(bad) == b""
    with monkeypatch.context() as patch:
        patch.setattr(front_module, "parse_upgrade", fail)
        with pytest.raises(ConnectionResetError):
            assert await read_all(await front.dial(PING_REQUEST)) != b""
    good.send(PING_REQUEST)
    assert await read(good, len(PONG_REPLY)) == PONG_REPLY
    assert front.sessions == 1


def fail_to_accept(front, failures):
    """Makes `accept` fail with each of the errors, the last one first."""
    accept = front.listener.accept

    class Listener:
        fileno = front.listener.fileno

        def accept(self):
            if failures:
                raise OSError(failures.pop(), "test")
            return accept()

    front.front._listener = Listener()


async def test_accepting_pauses_after_an_error_and_connections_wait(start_front, monkeypatch):
    monkeypatch.setattr(front_module, "PAUSE_SECONDS", 0.01)
    front = start_front()
    failures = [errno.EMFILE, errno.ECONNABORTED, errno.ENFILE]
    fail_to_accept(front, failures)
    client = await front.upgrade(more=PING_REQUEST)
    assert await read(client, len(PONG_REPLY)) == PONG_REPLY
    assert failures == []


async def test_waiting_connections_are_refused_and_counted_if_no_file_descriptor_becomes_free(start_front, monkeypatch):
    monkeypatch.setattr(front_module, "PAUSE_SECONDS", 0.01)
    front = start_front()
    fail_to_accept(front, [errno.EMFILE] * (front_module.MAX_PAUSES + 1))
    with structlog.testing.capture_logs() as logs:
        assert await read_all(await front.dial()) == b""
        client = await front.upgrade(more=PING_REQUEST)
        assert await read(client, len(PONG_REPLY)) == PONG_REPLY
        front.front._sweep()
    assert front.gateway.counts.refused["no file descriptor"] == 1
    assert [line["connections"] for line in logs if line["event"] == "connections refused"] == [1]


async def test_if_the_spare_file_descriptor_is_taken_accepting_pauses_again(start_front, monkeypatch):
    monkeypatch.setattr(front_module, "PAUSE_SECONDS", 0.01)
    front = start_front()
    failures = [errno.ENFILE] * (front_module.MAX_PAUSES + 2)
    fail_to_accept(front, failures)
    with structlog.testing.capture_logs() as logs:
        client = await front.upgrade(more=PING_REQUEST)
        assert await read(client, len(PONG_REPLY)) == PONG_REPLY
    assert failures == []
    assert [line["event"] for line in logs].count("no connection can be accepted") == front_module.MAX_PAUSES + 1


async def test_the_oldest_silent_connections_are_closed_if_no_file_descriptor_is_free(start_front, monkeypatch):
    monkeypatch.setattr(front_module, "PAUSE_SECONDS", 1000)
    front = start_front(max_http=10)
    silent = []
    for count in range(1, 6):
        silent.append(await front.dial())
        await until(lambda count=count: len(front.front.unread) == count)
    fail_to_accept(front, [errno.EMFILE])
    with structlog.testing.capture_logs() as logs:
        await front.upgrade()
        assert [await read_all(client) for client in silent[:3]] == [b""] * 3
        assert (len(front.front.unread), front.http_count()) == (2, 2)
        front.front._sweep()
    assert [line["connections"] for line in logs if line["log_level"] == "error"] == [3]
    assert front.gateway.counts.refused["no file descriptor"] == 3


async def test_the_oldest_answered_connections_are_closed_first_if_no_file_descriptor_is_free(start_front, monkeypatch):
    monkeypatch.setattr(front_module, "PAUSE_SECONDS", 1000)
    front = start_front(max_connections=1, max_http=10)
    await front.upgrade()
    silent = await front.dial()
    refused = []
    for count in range(1, 4):
        refused.append(await front.dial(make_upgrade("a")))
        await until(lambda count=count: len(front.front.lingering) == count)
    fail_to_accept(front, [errno.EMFILE])
    refused.append(await front.dial(make_upgrade("a")))
    await until(lambda: len(front.front.lingering) == 2)
    for client in refused:
        assert (await read_until(client, b"\r\n")).startswith(b"HTTP/1.1 429 ")
    assert len(front.front.unread) == 1
    silent.send(make_upgrade("a"))
    assert (await read_until(silent, b"\r\n")).startswith(b"HTTP/1.1 429 ")
    assert front.gateway.counts.refused["full"] == 5


async def test_a_stopped_front_accepts_no_connection_and_keeps_its_sockets(start_front, monkeypatch):
    front = start_front()
    client = await front.upgrade()
    front.front.stop_accepting()
    front.front.stop_accepting()
    front.front._resume()
    await front.dial(make_upgrade("a"))
    client.send(PING_REQUEST)
    assert await read(client, len(PONG_REPLY)) == PONG_REPLY
    assert front.sessions == 1


async def test_a_thousand_clients_that_come_and_go_leave_nothing(start_front):
    front = start_front(max_http=1000)

    async def visit(number):
        client = await front.dial(make_upgrade("a")[: None if number % 5 else number % 90])
        if number % 5:
            await read_until(client, b"\r\n\r\n")
            client.send(PING_REQUEST + make_frame(CLOSE) * (number % 2))
            await read(client, len(PONG_REPLY) if number % 3 else 0)
        (socket.socket.close if number % 7 else reset)(client)

    for start in range(0, 1000, 50):
        await asyncio.gather(*(visit(number) for number in range(start, start + 50)))
    await front.is_empty()
    assert (front.http_count(), front.gateway.connections.total) == (0, 0)
    assert not front.front._poller._handlers
