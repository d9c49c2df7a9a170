import asyncio

import pytest
from django.conf import settings
from django.test import AsyncRequestFactory
from django.utils.module_loading import import_string

from stockwatch.serving.page_handler import PageHandler, Slots
from stockwatch.settings import BASE_DIR
from tests.support.waiting import until

STATIC_FILE = "watchlist/page.css"


class Blocks:
    """Blocks that take a slot, and end when `end` is called."""

    def __init__(self, slots: Slots) -> None:
        self.started: list[int] = []
        self._slots = slots
        self._may_end = asyncio.Event()

    async def run(self, number: int) -> None:
        async with self._slots.take():
            self.started.append(number)
            await self._may_end.wait()

    def end(self) -> None:
        self._may_end.set()


async def give_others_a_chance() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_only_as_many_requests_run_at_once_as_there_are_slots_and_the_others_wait_in_order():
    blocks = Blocks(Slots(2, 3600.0))
    tasks = [asyncio.ensure_future(blocks.run(number)) for number in range(5)]
    await give_others_a_chance()
    assert blocks.started == [0, 1]
    blocks.end()
    await asyncio.gather(*tasks)
    assert blocks.started == [0, 1, 2, 3, 4]


async def test_a_request_that_takes_long_gives_up_its_slot_once():
    slots = Slots(1, 0.0)
    slow = Blocks(slots)
    tasks = [asyncio.ensure_future(slow.run(number)) for number in range(3)]
    await until(lambda: slow.started == [0, 1, 2])
    slow.end()
    await asyncio.gather(*tasks)
    slots.seconds = 3600.0
    quick = Blocks(slots)
    tasks = [asyncio.ensure_future(quick.run(number)) for number in range(3)]
    await give_others_a_chance()
    assert quick.started == [0]
    quick.end()
    await asyncio.gather(*tasks)


async def test_a_request_that_fails_or_is_cancelled_frees_its_slot():
    slots = Slots(1, 3600.0)
    with pytest.raises(ValueError, match="failed"):
        async with slots.take():
            raise ValueError("failed")
    blocks = Blocks(slots)
    running, waiting = (asyncio.ensure_future(blocks.run(number)) for number in range(2))
    await give_others_a_chance()
    for task in (waiting, running):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    async with asyncio.timeout(60), slots.take():
        assert blocks.started == [0]


@pytest.mark.parametrize("path", ["/livez", "/metrics"])
async def test_health_and_metrics_are_served_while_all_slots_are_taken(path: str):
    handler = PageHandler()
    handler._slots = Slots(1, 3600.0)
    async with handler._slots.take(), asyncio.timeout(60):
        response = await handler.get_response_async(AsyncRequestFactory().get(path))
    assert response.status_code == 200


def test_no_middleware_leaves_the_thread_of_a_request():
    assert all(getattr(import_string(name), "sync_capable", True) for name in settings.MIDDLEWARE)


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_pages_and_static_files_are_served(run_gateway, redis_client, command):
    gateway = run_gateway(command)
    expected = (BASE_DIR / "static" / STATIC_FILE).read_text()
    assert gateway.get(f"/static/{STATIC_FILE}") == (200, expected)
    assert gateway.get("/static/nothing.css")[0] == 404
    status, page = gateway.get("/")
    assert (status, page.count("<tr data-symbol=")) == (200, 7)
