"""Limits how many HTTP requests of a gateway process run at the same time: at most SLOTS.

A request that runs longer than SLOT_SECONDS no longer counts. Requests to WITHOUT_SLOT do not count.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from time import perf_counter

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished
from django.db import connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from stockwatch.serving.request_metrics import note_response

# More requests at the same time would delay prices.
SLOTS = 2
SLOT_SECONDS = 0.1  # a request that runs longer probably waits for the database
"""The time after which a running request no longer counts."""
WITHOUT_SLOT = frozenset(("/livez", "/metrics"))
"""The paths of requests that wait for no other service.

While Redis or the database hangs, every page holds its slot for SLOT_SECONDS. On a busy site, the slots have a long
queue then. Prometheus and the supervisor would wait in this queue, and take the gateway for dead.
"""


class Slots:
    """Lets at most `count` blocks of the form `async with slots.take()` run at the same time.

    A block that runs longer than `seconds` no longer counts.
    """

    def __init__(self, count: int, seconds: float) -> None:
        self._semaphore = asyncio.Semaphore(count)
        self.seconds = seconds

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Waits for a slot, then runs the `with` block. The block holds the slot for at most `seconds`."""
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


# Django's own handler switches about twenty times between the event loop and a thread for one page. This
# handler switches once.
class PageHandler(ASGIHandler):
    """Django's ASGI handler with a limit of simultaneous requests. Each request runs in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._slots = Slots(SLOTS, SLOT_SECONDS)
        request_finished.connect(close_connections)

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002 - the signature of Django
        """Builds the chain of middlewares. `is_async` is ignored: the chain runs in a thread."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        started = perf_counter()
        async with self._take_slot(request):
            response: HttpResponseBase = await sync_to_async(self.get_response, thread_sensitive=True)(request)
        note_response(request, response.status_code, perf_counter() - started)
        access = getattr(request, "scope", {}).get("access")
        if access is not None:
            access.note(request)
        return response

    def _take_slot(self, request: HttpRequest) -> AbstractAsyncContextManager[None]:
        return nullcontext() if request.path_info in WITHOUT_SLOT else self._slots.take()


def close_connections(**_: object) -> None:
    """Closes the database connections of this thread at the end of a request.

    Django would keep the connections open for CONN_MAX_AGE, for the next request of the thread. But each thread serves
    only one request.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:  # a test may be in a transaction
            connection.close()
