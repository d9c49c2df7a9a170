import asyncio

import pytest

from tests.support.gateway.fakes import FakeTransport
from tests.support.gateway.sessions import connect, make_gateway, replies
from tests.support.waiting import until
from watchlist.gateway import database as service
from watchlist.gateway.account_lists import AccountSession
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.protocol import ConnectionOptions
from watchlist.gateway.sockets.admission import find_account_session

AWAY, BACK = {"type": "service", "lists": False}, {"type": "service", "lists": True}


async def fail():
    raise OSError


async def succeed():
    return


@pytest.fixture
def gateway():
    return make_gateway()


async def lose(gateway):
    for _ in range(service.FAILURES):
        await gateway.service.watch(fail)


async def test_two_failures_in_a_row_are_told_once_and_the_return_once(gateway):
    page = connect(gateway, wishes=ConnectionOptions(meta=True))
    for reading in (fail, succeed, fail, fail, fail, succeed, succeed):
        await gateway.service.watch(reading)
    assert replies(page) == [AWAY, BACK]


async def test_who_did_not_ask_for_facts_is_not_told(gateway):
    program = connect(gateway)
    await lose(gateway)
    assert replies(program) == []


async def test_a_page_that_connects_meanwhile_is_told_at_once(gateway):
    await lose(gateway)
    assert replies(connect(gateway, wishes=ConnectionOptions(meta=True))) == [AWAY]
    await gateway.service.watch(succeed)
    assert replies(connect(gateway, wishes=ConnectionOptions(meta=True))) == []


async def test_a_database_that_hangs_is_away_though_nothing_failed(gateway, monkeypatch):
    monkeypatch.setattr(service, "ANSWER_WITHIN", 0.01)
    page = connect(gateway, wishes=ConnectionOptions(meta=True))
    answer = asyncio.Event()

    async def hang():
        await answer.wait()

    reading = asyncio.ensure_future(gateway.service.watch(hang))
    await until(lambda: replies(page) == [AWAY])
    answer.set()
    await reading
    assert replies(page) == [AWAY, BACK]


async def test_a_question_that_hangs_is_given_up_and_ends_by_itself(gateway, monkeypatch):
    monkeypatch.setattr(service, "ANSWER_WITHIN", 0.01)
    answer = asyncio.Event()
    ended = []

    async def hang():
        await answer.wait()
        ended.append(True)
        raise OSError

    with pytest.raises(TimeoutError):
        await gateway.service.ask(hang)
    answer.set()
    await until(lambda: ended)


async def test_without_a_database_nobody_is_asked_for_and_the_key_is_kept(gateway):
    await lose(gateway)
    assert await find_account_session(gateway.service, "a1") == (None, "a1")


async def test_a_page_that_came_meanwhile_is_known_when_the_database_is_back(gateway):
    page, gone = (
        gateway.open_session(Outbox(FakeTransport(), clock=lambda: 0.0), ConnectionOptions(meta=True), None, "a1")
        for _ in range(2)
    )
    gateway.end_session(gone)
    visit = AccountSession("a1", 7)
    for session in (page, gone):
        gateway._know(session, visit)
    assert list(gateway._visits) == [page]
    gateway._tell_versions({visit}, {visit: {3: 1}})
    assert replies(page) == [{"type": "list", "id": 3, "version": 1}]


async def test_questions_wait_for_their_turn_and_give_up(gateway, monkeypatch):
    monkeypatch.setattr(service, "TURN_WITHIN", 0.01)
    over, asked = asyncio.Event(), []

    async def hang():
        asked.append(1)
        await over.wait()
        return len(asked)

    questions = [asyncio.ensure_future(gateway.service.ask(hang)) for _ in range(service.QUESTIONS)]
    await until(lambda: len(asked) == service.QUESTIONS)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await gateway.service.ask(hang)
    assert len(asked) == service.QUESTIONS
    over.set()
    assert await asyncio.gather(*questions) == [service.QUESTIONS] * service.QUESTIONS
    assert await gateway.service.ask(hang) == service.QUESTIONS + 1
