"""Monitors whether the database answers, and limits how many queries wait for the database.

The gateway reads the tickers every 0.5 s. The monitor watches whether each reading succeeds. When the database becomes
unavailable or available, the gateway tells the clients that connected with `?meta=1`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

QUERY_TIMEOUT_SECONDS = 3.0
"""How long a query may take. If a reading of the tickers takes longer, the database counts as unavailable."""
# These queries share one thread with the readings of the tickers. With a higher limit, the queries could delay the
# readings so long that a healthy database counts as unavailable.
MAX_QUERIES = 4
"""How many queries for connecting clients may run at the same time."""
QUEUE_TIMEOUT_SECONDS = 1.0
"""How long a query may wait while MAX_QUERIES other queries run."""
FAILURES_BEFORE_OUTAGE = 2  # one failure is not enough, because a restart of the database closes connections
"""After this many failed readings of the tickers in a row, the database counts as unavailable."""

Result = TypeVar("Result")


class DatabaseMonitor:
    """Knows whether the database is available, and runs queries.

    `on_change` is called with each new value of `available`.
    """

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self.available = True
        self._on_change = on_change
        self._failures = 0
        self._turns = asyncio.Semaphore(MAX_QUERIES)

    async def watch(self, read: Callable[[], Awaitable[None]]) -> None:
        """Calls `read` to query the database, and updates `available`. Does not raise the errors of `read`."""
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
        """Runs a query and returns its result. Raises the errors of the query.

        Raises TimeoutError if the query waits longer than QUEUE_TIMEOUT_SECONDS or runs longer than
        QUERY_TIMEOUT_SECONDS. A query that runs too long is not cancelled.
        """
        async with asyncio.timeout(QUEUE_TIMEOUT_SECONDS):
            await self._turns.acquire()
        task = asyncio.ensure_future(query())
        task.add_done_callback(self._end_query)
        done, _ = await asyncio.wait({task}, timeout=QUERY_TIMEOUT_SECONDS)
        if not done:
            raise TimeoutError(f"The database did not answer within {QUERY_TIMEOUT_SECONDS} s")
        return task.result()

    async def repeat(self, seconds: float, read: Callable[[], Awaitable[None]], subject: str) -> None:
        """Calls `read` every `seconds` seconds until this task is cancelled. Pauses while the database is unavailable.

        Logs the errors of `read`. `subject` says in the log what `read` reads.
        """
        while True:
            await asyncio.sleep(seconds)
            if not self.available:
                continue
            try:
                await read()
            except Exception as error:  # Database errors differ by engine. The next call reads what has changed.
                log.debug(f"{subject} cannot be read", reason=type(error).__name__)

    def _end_query(self, task: "asyncio.Future[Result]") -> None:
        self._turns.release()
        if not task.cancelled():
            task.exception()  # Marks the error as seen: after a timeout no caller awaits the task.
