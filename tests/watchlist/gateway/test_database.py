import asyncio

import pytest

from tests.support.gateway.sessions import make_connections, open_session, received_frames
from tests.support.waiting import until
from watchlist.gateway import database
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.database import DatabaseMonitor

UNAVAILABLE, AVAILABLE = {"type": "service", "lists": False}, {"type": "service", "lists": True}
META = ConnectionOptions(meta=True)


async def fail():
    raise OSError


async def succeed():
    return


@pytest.fixture
def connections():
    return make_connections()


@pytest.fixture
def monitor(connections):
    return DatabaseMonitor(connections.announce_database)


async def begin_outage(monitor):
    for _ in range(database.FAILURES_BEFORE_OUTAGE):
        await monitor.watch(fail)


async def test_an_outage_and_its_end_are_announced_once_each(connections, monitor):
    page = open_session(connections, options=META)
    for reading in (fail, succeed, fail, fail, fail, succeed, succeed):
        await monitor.watch(reading)
    assert received_frames(page) == [UNAVAILABLE, AVAILABLE]


async def test_a_client_without_meta_receives_no_announcement(connections, monitor):
    program = open_session(connections)
    await begin_outage(monitor)
    assert received_frames(program) == []


async def test_a_page_that_connects_during_an_outage_is_informed_at_once(connections, monitor):
    await begin_outage(monitor)
    assert received_frames(open_session(connections, options=META)) == [UNAVAILABLE]
    await monitor.watch(succeed)
    assert received_frames(open_session(connections, options=META)) == []


async def test_a_reading_that_hangs_is_an_outage(connections, monitor, monkeypatch):
    monkeypatch.setattr(database, "QUERY_TIMEOUT_SECONDS", 0.01)
    page = open_session(connections, options=META)
    answer = asyncio.Event()

    async def hang():
        await answer.wait()

    reading = asyncio.ensure_future(monitor.watch(hang))
    await until(lambda: received_frames(page) == [UNAVAILABLE])
    answer.set()
    await reading
    assert received_frames(page) == [UNAVAILABLE, AVAILABLE]


async def test_a_query_that_hangs_times_out_and_may_end_later(monitor, monkeypatch):
    monkeypatch.setattr(database, "QUERY_TIMEOUT_SECONDS", 0.01)
    answer = asyncio.Event()
    ended = []

    async def hang():
        await answer.wait()
        ended.append(True)
        raise OSError

    with pytest.raises(TimeoutError):
        await monitor.run(hang)
    answer.set()
    await until(lambda: ended)


async def test_queries_wait_for_their_turn_and_time_out(monitor, monkeypatch):
    monkeypatch.setattr(database, "QUEUE_TIMEOUT_SECONDS", 0.01)
    answer, started = asyncio.Event(), []

    async def hang():
        started.append(1)
        await answer.wait()
        return len(started)

    queries = [asyncio.ensure_future(monitor.run(hang)) for _ in range(database.MAX_QUERIES)]
    await until(lambda: len(started) == database.MAX_QUERIES)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await monitor.run(hang)
    assert len(started) == database.MAX_QUERIES
    answer.set()
    assert await asyncio.gather(*queries) == [database.MAX_QUERIES] * database.MAX_QUERIES
    assert await monitor.run(hang) == database.MAX_QUERIES + 1
