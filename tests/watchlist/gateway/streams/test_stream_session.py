import json

import pytest

from tests.support.gateway.fakes import FakeTransport
from tests.support.gateway.sessions import expect_slow_close_after_10_seconds, make_connections, publish
from tests.support.gateway.streams import parse_events
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.messages import make_state
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.admission import Admitted
from watchlist.gateway.sockets.refusal import Refusal
from watchlist.gateway.streams.problem import Problem
from watchlist.gateway.streams.stream_query import StreamQuery
from watchlist.gateway.streams.stream_session import COMMENT_SECONDS, RETRY_MS, check_symbols, open_stream

ADMITTED = Admitted(ConnectionOptions(), "127.0.0.1")


@pytest.fixture
def connections():
    return make_connections()


def open_aapl(connections, room=None, max_hz=None, heartbeat=0, meta=False):
    transport = FakeTransport(room)
    query = StreamQuery(("AAPL", "GOOG"), max_hz, heartbeat, meta)
    session = open_stream(connections, transport, ADMITTED, query)
    transport.on_writable = session.outbox.resume
    return session


def text_of(session):
    return session.outbox.transport.wire.decode()


def test_a_stream_begins_with_a_random_retry_time_and_the_newest_updates(connections):
    first = open_aapl(connections)
    publish(first, "AAPL", 1)
    second = open_aapl(connections)
    assert [event.id for event in parse_events(text_of(second))] == ["1"]
    times = [int(text_of(session).split()[1]) for session in (first, second)]
    assert all(RETRY_MS <= time < RETRY_MS + 1000 for time in times)
    assert times[0] != times[1]


def test_the_rate_of_a_stream_has_the_limits_of_the_socket(connections):
    assert open_aapl(connections).outbox.delivery.hertz == 0
    rates = [open_aapl(connections, max_hz=rate).outbox.delivery.hertz for rate in (0.0, 4.0, 1000.0)]
    assert rates == [0.1, 4.0, 50.0]


def test_a_comment_is_sent_at_each_interval(connections):
    session = open_aapl(connections)
    before = text_of(session)
    for seconds in (COMMENT_SECONDS - 1, COMMENT_SECONDS, COMMENT_SECONDS + 1, 2 * COMMENT_SECONDS):
        session.sweep(seconds)
    assert text_of(session).removeprefix(before) == ":\n\n" * 2


def test_heartbeats_tell_the_time_first_and_at_each_interval(connections):
    session = open_aapl(connections, heartbeat=10)
    publish(session, "AAPL", 1)
    for seconds in (9.0, 10.0, 11.0, 19.0, 20.0):
        session.sweep(seconds)
    events = parse_events(text_of(session))
    assert [event.event for event in events] == ["heartbeat", "update", "heartbeat", "heartbeat"]
    beats = [json.loads(event.data) for event in events if event.event == "heartbeat"]
    assert [beat["n"] for beat in beats] == [1, 2, 3]
    assert {beat["timestamp"] for beat in beats} == {connections.context.clock.unix_micros()}


def test_frames_about_tickers_sources_and_the_database_are_events_for_those_who_ask(connections):
    connections.announce_database(False)
    session, plain = open_aapl(connections, meta=True), open_aapl(connections)
    connections.announce_database(True)
    connections.announce_sources({"binance": make_state("feed:binance", b'{"type":"feed","source":"binance"}')})
    publish(session, "AAPL", 1)
    events = parse_events(text_of(session))
    assert [event.event for event in events] == ["frame"] * 5 + ["update"]
    frames = [json.loads(event.data) for event in events[:5]]
    assert [frame["type"] for frame in frames] == ["service", "ticker", "ticker", "service", "feed"]
    assert [frame["symbol"] for frame in frames[1:3]] == ["AAPL", "GOOG"]
    assert [event.event for event in parse_events(text_of(plain))] == ["update"]


def test_a_client_that_stalls_is_sent_the_newest_frame_of_each_kind_as_an_event(connections):
    session = open_aapl(connections, room=3, meta=True)
    for available in (False, True):
        connections.announce_database(available)
    session.outbox.transport.make_room(10_000)
    frames = [json.loads(event.data) for event in parse_events(text_of(session))]
    assert [frame for frame in frames if frame["type"] == "service"] == [{"type": "service", "lists": True}]


def test_a_client_that_does_not_read_is_sent_no_heartbeats(connections):
    session = open_aapl(connections, room=3, heartbeat=1)
    session.sweep(5.0)
    assert text_of(session) == "ret"


def test_a_stream_without_requests_and_pongs_stays_open(connections):
    session = open_aapl(connections)
    session.sweep(10_000.0)
    assert not session.closing_since


def test_a_client_that_does_not_read_is_sent_no_comments_and_is_closed(connections):
    session = open_aapl(connections, room=3)
    session.sweep(9.0)
    assert text_of(session) == "ret"
    expect_slow_close_after_10_seconds(session)


def test_a_stream_that_ends_leaves_nothing(connections):
    hub = connections.context.hub
    session = open_aapl(connections)
    assert (connections.total, hub.subscriptions) == (1, 2)
    connections.end(session)
    assert (connections.total, hub.subscriptions, hub.symbols) == (0, 0, [])
    assert session.outbox.transport.released


def test_a_refused_connection_and_an_unknown_symbol_are_problems(connections):
    refused = check_symbols(connections, Refusal("full", 429, CloseCode.FULL, 5), StreamQuery(("AAPL",)))
    assert refused == Problem(429, "full", "The gateway is full", 5)
    unknown = check_symbols(connections, ADMITTED, StreamQuery(("AAPL", "X" * 70)))
    assert isinstance(unknown, Problem)
    assert (unknown.status, unknown.symbols) == (404, ("X" * 64,))
    assert check_symbols(connections, ADMITTED, StreamQuery(("AAPL",))) is ADMITTED


def test_a_long_list_of_unknown_symbols_is_cut(connections):
    unknown = check_symbols(connections, ADMITTED, StreamQuery(tuple(f"X{number}" for number in range(1000))))
    assert isinstance(unknown, Problem)
    assert len(unknown.symbols) == 256
