"""Whether the database answers. Prices need none: what does are lists and accounts, and pages are told of it.

It asks nothing by itself: the reading of the tickers, every 0.5 s, tells it how it fared.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

ANSWER_WITHIN = 3.0
"""Seconds without an answer after which the database counts as away, though nothing has failed."""
QUESTIONS = 4
"""Questions of clients that wait for the database at once. All share one thread with the reading of the tickers: more
of them before it, and the reading would be late without any fault of the database's."""
TURN_WITHIN = 1.0
"""Seconds that one more of them waits for its turn."""
FAILURES = 2
"""Readings in a row that must fail: one may be a connection that a restart cut."""

Answer = TypeVar("Answer")


class DatabaseMonitor:
    """`lists` says whether they can be read and changed now; `tell` is called when that changes."""

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self.lists = True
        self._tell = tell
        self._failures = 0
        self._turns = asyncio.Semaphore(QUESTIONS)

    async def watch(self, reading: Callable[[], Awaitable[None]]) -> None:
        """One reading, and what it says of the database. Raises nothing: the last table stays in force."""
        silence = asyncio.get_running_loop().call_later(ANSWER_WITHIN, self._lose, "no answer")
        try:
            await reading()
        except Exception as error:  # the database's errors differ by engine
            self._failures += 1
            if self._failures >= FAILURES:
                self._lose(type(error).__name__)
        else:
            self._failures = 0
            if not self.lists:
                self.lists = True
                log.info("the database is back")
                self._tell(True)
        finally:
            silence.cancel()

    def _lose(self, reason: str) -> None:
        if self.lists:
            self.lists = False
            log.warning("the database is away, prices go on with the last tickers", reason=reason)
            self._tell(False)

    async def ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a question of the database. Raises TimeoutError; what hangs is left to end by itself."""
        async with asyncio.timeout(TURN_WITHIN):
            await self._turns.acquire()
        task = asyncio.ensure_future(question())
        task.add_done_callback(self._end_question)
        done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN)
        if not done:
            raise TimeoutError("the database does not answer")
        return task.result()

    def _end_question(self, task: "asyncio.Future[Answer]") -> None:
        self._turns.release()
        if not task.cancelled():
            task.exception()  # nobody may be left who waits for it
