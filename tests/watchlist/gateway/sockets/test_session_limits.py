"""The limits of one client: message sizes and rates, pings and time-outs."""

import json

import pytest

from tests.support.gateway.sessions import (
    expect_slow_close_after_10_seconds,
    make_request,
    open_session,
    publish,
    received_frames,
    send,
)
from watchlist.gateway.protocol import CloseCode


def test_too_many_messages_are_refused_with_the_time_to_wait_except_unsubscribe():
    session = open_session(messages_burst=2)
    send(session, make_request("subscribe", ["AAPL"]))
    send(session, make_request("ping"))
    send(session, make_request("ping", request_id="x"))
    send(session, make_request("unsubscribe", ["AAPL"]))
    _, _, refused, ack = received_frames(session)
    assert (refused["code"], refused["id"]) == (429, "x")
    assert 0 < refused["retry_after_ms"] <= 201
    assert ack["type"] == "ack"


@pytest.mark.parametrize("frame", ['{"action":"ping"}', '["AAPL"]'])
def test_twenty_refusals_within_ten_seconds_close_the_socket(frame):
    session = open_session(messages_burst=1)
    for _ in range(20):
        send(session, frame)
    assert session.outbox.transport.codes == []
    send(session, frame)
    assert session.outbox.transport.codes == [CloseCode.FLOOD]


def test_refusals_far_apart_do_not_close_the_socket():
    session = open_session(messages_burst=1, messages_per_second=0.001)
    for number in range(60):
        send(session, '{"action":"ping"}', number * 0.6)
    assert session.outbox.transport.codes == []


def test_more_bytes_than_the_limit_close_the_socket_whatever_they_ask_for():
    session = open_session(bytes_per_second=100_000, bytes_burst=200_000, messages_burst=1000)
    send(session, make_request("subscribe", ["AAPL"]))
    request = json.dumps(make_request("unsubscribe", ["GOOG"])).ljust(60_000)
    for number in range(9):
        send(session, request, number * 0.6)
    assert session.outbox.transport.codes == []
    for _ in range(4):
        send(session, request, 5.4)
    assert session.outbox.transport.codes == [CloseCode.FLOOD]


@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
def test_a_message_over_64_kib_closes_the_socket(character):
    size = len(character.encode())
    fits = "[" + "x" * ((64 * 1024 - 1) % size) + character * ((64 * 1024 - 1) // size)
    assert len(fits.encode()) == 64 * 1024
    session = open_session()
    send(session, fits)
    assert session.outbox.transport.codes == [CloseCode.BAD_REQUESTS]
    session = open_session()
    send(session, fits + "x")
    assert session.outbox.transport.codes == [CloseCode.TOO_LARGE]


def test_a_binary_frame_closes_the_socket():
    session = open_session()
    session.receive_bytes(0.0)
    session.receive_bytes(0.0)
    assert session.outbox.transport.codes == [CloseCode.BINARY]


def test_messages_after_the_close_are_ignored():
    session = open_session()
    session.close(CloseCode.SHUTDOWN, 0.0)
    send(session, ["AAPL"])
    session.close(CloseCode.SLOW, 0.0)
    assert session.outbox.transport.codes == [CloseCode.SHUTDOWN]
    assert session.context.hub.symbols == []


def test_a_client_without_a_request_for_ten_seconds_is_closed():
    session = open_session()
    session.sweep(10.0)
    assert session.outbox.transport.codes == []
    session.sweep(10.1)
    assert session.outbox.transport.codes == [CloseCode.SILENT]


def test_a_client_with_a_request_may_stay_without_a_subscription():
    session = open_session()
    send(session, make_request("ping"))
    session.sweep(50.0)
    assert session.outbox.transport.codes == []


def test_a_missing_pong_closes_the_socket_even_if_the_client_sends_other_frames():
    session = open_session()
    send(session, ["AAPL"])
    session.sweep(53.9)
    assert session.outbox.transport.pings == 0
    session.sweep(54.0)
    session.receive_pong(54.1)
    session.sweep(108.0)
    assert session.outbox.transport.pings == 2
    send(session, ["GOOG"], 113.0)
    session.sweep(114.1)
    assert session.outbox.transport.codes == []
    session.sweep(114.2)
    assert session.outbox.transport.codes == [CloseCode.NO_PONG]


def test_a_stalled_socket_is_sent_no_ping_and_misses_no_pong():
    session = open_session(room=0, write_wait=1000)
    send(session, ["AAPL"])
    publish(session, "AAPL", 1)
    session.sweep(200.0)
    assert (session.outbox.transport.pings, session.outbox.transport.codes) == (0, [])
    session.outbox.transport.make_room()
    session.sweep(201.0)
    assert session.outbox.transport.pings == 1


def test_a_socket_that_stays_stalled_is_closed_and_then_dropped():
    session = open_session(room=0)
    send(session, ["AAPL"])
    publish(session, "AAPL", 1)
    session.sweep(10.0)
    assert session.outbox.transport.codes == []
    expect_slow_close_after_10_seconds(session)


def test_a_client_that_never_reads_its_replies_is_closed_at_the_limit():
    session = open_session(room=0, messages_burst=10**6, max_symbols=10**6)
    for _ in range(3000):
        send(session, make_request("list"))
    assert session.outbox.transport.codes == [CloseCode.SLOW]
    assert len(session.outbox) == 0


def test_a_ping_frame_is_answered_with_its_payload():
    session = open_session()
    session.receive_ping(b"hello", 0.0)
    assert session.outbox.transport.wire == b"\x8a\x05hello"


def test_a_client_that_never_reads_its_pongs_is_closed_at_the_limit():
    session = open_session(room=0)
    for _ in range(1000):
        session.receive_ping(b"x" * 125, 0.0)
    assert session.outbox.transport.codes == [CloseCode.SLOW]
    assert len(session.outbox) == 0


def test_frames_of_any_kind_are_limited():
    session = open_session(frames_per_second=10, frames_burst=100)
    assert all(session.count_frame(0.0) for _ in range(100))
    assert all(session.count_frame(0.1) for _ in range(1))
    assert not session.count_frame(0.1)
    assert session.outbox.transport.codes == [CloseCode.FLOOD]
    assert session.context.counts.refused["frame rate"] == 1


def test_frames_are_limited_while_the_socket_is_closing():
    session = open_session(frames_per_second=10, frames_burst=100)
    session.close(CloseCode.BAD_REQUESTS, 0.0)
    assert all(session.count_frame(0.0) for _ in range(100))
    assert not session.count_frame(0.0)
    assert session.outbox.transport.codes == [CloseCode.BAD_REQUESTS]
    assert session.context.counts.refused["frame rate"] == 0


def test_the_default_limit_of_bytes_admits_a_burst_of_long_requests_and_few_of_the_largest_messages():
    session = open_session()
    for _ in range(20):
        send(session, make_request("unsubscribe", [f"SYM{number}" for number in range(1024)]))
    assert session.outbox.transport.codes == []
    session = open_session()
    for _ in range(6):
        send(session, json.dumps(make_request("unsubscribe", ["GOOG"])).ljust(64 * 1024))
    assert session.outbox.transport.codes == [CloseCode.FLOOD]
