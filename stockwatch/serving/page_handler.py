"""Runs each HTTP request in one thread, and only a few requests at the same time.

Django's own handler runs each hook of each middleware in the thread separately. A page then needs about twenty
switches between the event loop and the thread, and each switch costs as much as several rows of the table. This handler
runs the whole chain of middlewares in the thread at once.

All threads and the event loop share one interpreter. If hundreds of pages are loaded at once, the event loop would have
to wait for each of their threads, and prices would be late. Therefore only SLOTS requests run at the same time, and the
others wait in order. A request that takes long gives up its slot, because it probably waits for the database: a slow
database does not stop requests that need no database.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

SLOTS = 2
SLOT_SECONDS = 0.1
"""The time after which a request gives up its slot."""


class Slots:
    """Limits how many blocks run at the same time. A block that takes longer than `seconds` no longer counts."""

    def __init__(self, count: int, seconds: float) -> None:
        self._semaphore = asyncio.Semaphore(count)
        self.seconds = seconds

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Waits for a slot, and runs the block of a `with` statement."""
        await self._semaphore.acquire()
        is_released = False

        def release() -> None:
            nonlocal is_released
            if not is_released:
                is_released = True
                self._semaphore.release()

        timer = asyncio.get_running_loop().call_later(self.seconds, release)
        try:
            yield
        finally:
            timer.cancel()
            release()


class PageHandler(ASGIHandler):
    """Django's ASGI application."""

    def __init__(self) -> None:
        super().__init__()
        self._slots = Slots(SLOTS, SLOT_SECONDS)

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002 - the signature of Django
        """Builds the chain of middlewares. `is_async` is ignored: the chain runs in a thread."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        async with self._slots.take():
            return await sync_to_async(self.get_response, thread_sensitive=True)(request)
