"""Fetches past bars of one source, one symbol after the other, during the live feed."""

import asyncio
from collections import deque
from functools import partial
from random import Random

import structlog

from feeds.errors import TransientError
from feeds.feeder.network.http_client import RequestFailed
from feeds.history.backfill import Backfill
from feeds.retry import Backoff
from feeds.sources.adapter import BadMessage

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0

# By then the minute of the loss is over, and the recorder has saved which bars are incomplete.
REPAIR_SECONDS = 180.0
"""How many seconds after a loss of trades the bars are fetched again."""


class Backfills:
    """Fetches the past bars of queued symbols. All symbols belong to one source."""

    def __init__(self, source: str, backfill: Backfill, rng: Random, first_pause: float = FIRST_PAUSE_SECONDS) -> None:
        self._source = source
        self._backfill = backfill
        self._backoff = Backoff(rng, initial=first_pause, maximum=MAX_RETRY_SECONDS)
        self._queue: deque[tuple[str, str]] = deque()
        self._attempts: dict[str, int] = {}
        self._has_work = asyncio.Event()
        self._timers: dict[tuple[str, bool], asyncio.TimerHandle] = {}
        """The timers of planned fetches. A key is a symbol, and whether the fetch waits for the market day to end."""

    def add(self, symbol: str, native: str) -> None:
        """Puts a symbol in the queue. `run` later fetches the past bars of this symbol."""
        if (symbol, native) not in self._queue:
            self._queue.append((symbol, native))
            self._has_work.set()

    def add_later(self, symbol: str, native: str) -> None:
        """Schedules two fetches of bars for a symbol with lost trades. Call this method in the event loop.

        The first fetch begins REPAIR_SECONDS after this call, and corrects minute bars. The second fetch begins
        REPAIR_SECONDS after the end of the market day, and corrects the day bar.
        """
        for waits_for_day, seconds in ((False, 0.0), (True, self._backfill.seconds_of_day_left())):
            if (symbol, waits_for_day) not in self._timers:
                repair = partial(self._repair, symbol, native, waits_for_day)
                timer = asyncio.get_running_loop().call_later(REPAIR_SECONDS + seconds, repair)
                self._timers[symbol, waits_for_day] = timer

    def _repair(self, symbol: str, native: str, waits_for_day: bool) -> None:
        del self._timers[symbol, waits_for_day]
        self.add(symbol, native)

    async def run(self) -> None:
        """Fetches the bars of the queued symbols, one symbol after the other, until this task is cancelled."""
        try:
            while True:
                while not self._queue:
                    self._has_work.clear()
                    await self._has_work.wait()
                await self._fetch_first()
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    async def _fetch_first(self) -> None:
        symbol, native = self._queue.popleft()
        try:
            fetched = await self._backfill.run(symbol, native)
        except (RequestFailed, BadMessage, TransientError) as error:
            await self._retry(symbol, native, error)
        else:
            self._attempts.pop(symbol, None)
            self._backoff.reset()
            log.info("bars fetched", source=self._source, symbol=symbol, days=fetched.days, minutes=fetched.minutes)

    async def _retry(self, symbol: str, native: str, error: Exception) -> None:
        """Puts a symbol back in the queue after a failed fetch, and pauses.

        After MAX_ATTEMPTS failures, the symbol is dropped. If no retry can help, the symbol is dropped at once.
        """
        attempts = self._attempts.pop(symbol, 0) + 1
        is_permanent = isinstance(error, RequestFailed) and error.is_permanent
        if is_permanent or attempts >= MAX_ATTEMPTS:
            log.warning("bars cannot be fetched", source=self._source, symbol=symbol, reason=str(error))
            return
        self._attempts[symbol] = attempts
        self._queue.append((symbol, native))
        await asyncio.sleep(max(self._backoff(), error.wait if isinstance(error, RequestFailed) else 0.0))
