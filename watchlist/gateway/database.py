"""Monitors whether the database answers, and limits how many queries wait for it.

Prices need no database. Lists and accounts do, so clients with `?meta=1` learn when it is unavailable. The monitor
sends no query of its own: it watches the reading of the tickers, every 0.5 s.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

QUERY_TIMEOUT_SECONDS = 3.0
"""A query without a result for this long counts as an outage, though nothing has failed."""
MAX_QUERIES = 4
"""Queries of connecting clients that run at once. They share one thread with the reading of the tickers; more of them
would delay that reading until a healthy database looks unavailable."""
QUEUE_TIMEOUT_SECONDS = 1.0
"""How long one more query waits for its turn."""
FAILURES_BEFORE_OUTAGE = 2
"""Failed readings in a row that count as an outage. A single failure may be a connection that a restart closed."""

Result = TypeVar("Result")


class DatabaseMonitor:
    """`available` is the newest state. `on_change` is called with it whenever it changes."""

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self.available = True
        self._on_change = on_change
        self._failures = 0
        self._turns = asyncio.Semaphore(MAX_QUERIES)

    async def watch(self, read: Callable[[], Awaitable[None]]) -> None:
        """Runs `read` and derives the state from its outcome. Logs errors and raises none."""
        timeout = asyncio.get_running_loop().call_later(QUERY_TIMEOUT_SECONDS, self._set_unavailable, "no answer")
        try:
            await read()
        except Exception as error:  # Database errors differ by engine.
            self._failures += 1
            if self._failures >= FAILURES_BEFORE_OUTAGE:
                self._set_unavailable(type(error).__name__)
        else:
            self._failures = 0
            if not self.available:
                self.available = True
                log.info("database available again")
                self._on_change(True)
        finally:
            timeout.cancel()

    def _set_unavailable(self, reason: str) -> None:
        if self.available:
            self.available = False
            log.warning("database unavailable", reason=reason, effect="prices continue with the last known tickers")
            self._on_change(False)

    async def run(self, query: Callable[[], Awaitable[Result]]) -> Result:
        """Runs a query. Raises TimeoutError, also if too many queries wait; a query that hangs is not cancelled."""
        async with asyncio.timeout(QUEUE_TIMEOUT_SECONDS):
            await self._turns.acquire()
        task = asyncio.ensure_future(query())
        task.add_done_callback(self._end_query)
        done, _ = await asyncio.wait({task}, timeout=QUERY_TIMEOUT_SECONDS)
        if not done:
            raise TimeoutError(f"The database did not answer within {QUERY_TIMEOUT_SECONDS} s")
        return task.result()

    def _end_query(self, task: "asyncio.Future[Result]") -> None:
        self._turns.release()
        if not task.cancelled():
            task.exception()  # Marks the error as seen: after a timeout no caller awaits the task.
