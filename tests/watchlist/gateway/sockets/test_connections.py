"""When the gateway closes healthy sockets: because of their age, and in a drain."""

from itertools import pairwise

import pytest

from tests.support.gateway.sessions import make_connections, open_session, received_frames
from tests.support.waiting import until
from watchlist.gateway.clock import Clock
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.protocol import CloseCode

NOTICE = ConnectionOptions(notice=True)


def sweep_until(connections, seconds):
    """Lets the connections sweep once per second, up to a time of their clock."""
    clock = connections.context.clock
    while clock.seconds < seconds:
        clock.seconds += 1.0
        for session in connections.sessions:
            session.has_requested = True
            session.receive_pong(clock.seconds)
        connections.sweep()
        for session in [session for session in connections.sessions if session.closing_since]:
            connections.end(session)


def codes_of(session):
    return session.outbox.transport.codes


def test_the_clock_reads_the_cpu_time_of_this_process():
    clock = Clock()
    assert clock.cpu_seconds() > 0
    assert clock.cpu_wait_seconds() >= 0


def test_without_an_age_no_socket_is_closed():
    session = open_session(connections := make_connections())
    sweep_until(connections, 100_000)
    assert codes_of(session) == []


def test_sockets_are_closed_at_different_times_before_they_reach_the_age():
    connections = make_connections(max_age=3600.0)
    sessions = [open_session(connections) for _ in range(50)]
    sweep_until(connections, 2700)
    assert not any(codes_of(session) for session in sessions)
    sweep_until(connections, 3150)
    assert 10 < connections.context.counts.rotated < 40
    sweep_until(connections, 3601)
    assert all(codes_of(session) == [CloseCode.SHUTDOWN] for session in sessions)
    assert connections.context.counts.rotated == connections.context.counts.closed["shutdown"] == 50


def test_old_sockets_are_closed_no_faster_than_a_tenth_of_the_accept_rate():
    connections = make_connections(max_age=1.0)
    for _ in range(120):
        open_session(connections)
    rotated = []
    for second in (1, 2, 3, 4):
        sweep_until(connections, second)
        rotated.append(connections.context.counts.rotated)
    assert rotated[-1] == 120
    assert max(after - before for before, after in pairwise(rotated)) == 50


def test_a_client_that_does_not_read_is_rotated_when_it_reads_again():
    connections = make_connections(max_age=10.0, write_wait=1000.0)
    session = open_session(connections, room=0)
    session.send_reconnect_notice(1)
    session.outbox.reply(b"{}")
    sweep_until(connections, 20)
    assert codes_of(session) == []
    session.outbox.transport.make_room()
    sweep_until(connections, 21)
    assert codes_of(session) == [CloseCode.SHUTDOWN]


def test_a_client_learns_how_long_to_wait_right_before_its_socket_is_closed():
    connections = make_connections(max_age=10.0)
    sessions = [open_session(connections, options=NOTICE) for _ in range(10)]
    sweep_until(connections, 11)
    waits = [frame["retry_after_ms"] for session in sessions for frame in received_frames(session)]
    assert len(waits) == 10
    assert len(set(waits)) > 1
    assert 0 <= min(waits) <= max(waits) < 1000


async def test_a_drain_closes_the_sockets_one_after_the_other():
    connections = make_connections(max_age=0.001)
    sessions = [open_session(connections, options=NOTICE) for _ in range(5)]
    gone = sessions.pop()
    assert connections.drain(least=0.02) == 0.02
    connections.end(gone)
    connections.context.clock.seconds += 1.0
    connections.sweep()
    assert connections.context.counts.rotated == 0
    await until(lambda: all(codes_of(session) for session in sessions))
    assert all(codes_of(session) == [CloseCode.SHUTDOWN] for session in sessions)
    assert all(0 <= frame["retry_after_ms"] < 1000 for session in sessions for frame in received_frames(session))
    assert codes_of(gone) == []


async def test_the_time_of_a_drain_follows_the_sockets_and_the_accept_rate():
    connections = make_connections()
    clock, counts = connections.context.clock, connections.context.counts
    for second in range(100):
        clock.seconds, clock.cpu, counts.accepted = float(second), second * 0.5, second * 500
        connections.sweep()
    assert connections.accept_rate.per_second == pytest.approx(1000, rel=0.02)
    for _ in range(10):
        open_session(connections)
    assert connections.drain(least=0.001, longest=60.0) == pytest.approx(0.02, rel=0.02)


def test_a_process_that_was_stopped_closes_no_client_whose_pong_it_has_not_read_yet():
    connections = make_connections()
    clock, session = connections.context.clock, open_session(connections)
    session.has_requested = True
    for second in range(55):
        clock.seconds = float(second)
        connections.sweep()
    assert session.outbox.transport.pings == 1
    clock.seconds = 200.0
    connections.sweep()
    assert codes_of(session) == []
    session.receive_pong(clock.seconds)
    sweep_until(connections, 300)
    assert codes_of(session) == []


def test_a_client_that_sends_no_pong_after_a_stop_of_the_process_is_closed_a_little_later():
    connections = make_connections()
    clock, session = connections.context.clock, open_session(connections)
    session.has_requested = True
    for second in (*range(55), *range(70, 140)):
        clock.seconds = float(second)
        connections.sweep()
        if second == 75:
            assert codes_of(session) == []
    assert codes_of(session) == [CloseCode.NO_PONG]
