"""What a loop does while something that it needs is away: one log line for it, one when it is back, waits in between.

Neither knows what is away; chance and clock are handed in.
"""

import threading
import time
from collections.abc import Callable
from random import Random

import structlog

from feeds.errors import TransientError

log = structlog.get_logger(__name__)


class Outage:
    """Says once that something is away and once that it is back, however many threads run into it."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.what = what
        self._clock = clock
        self._since: float | None = None
        self._lock = threading.Lock()

    @property
    def lasting(self) -> bool:
        return self._since is not None

    def begin(self, reason: object) -> None:
        """Something did not answer; `reason` is logged the first time only."""
        with self._lock:
            if self._since is not None:
                return
            self._since = self._clock()
        log.warning(f"{self.what} is away, trying again until it is back", reason=str(reason))

    def end(self) -> None:
        """It answered. Costs next to nothing where nothing was wrong."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            log.info(f"{self.what} is back", seconds=round(self._clock() - since, 1))


class Backoff:
    """Growing waits with full jitter, so that many who wait for the same thing do not come back at once."""

    def __init__(self, chance: Random, least: float = 0.05, most: float = 2.0) -> None:
        self._chance = chance
        self._least = least
        self._most = most
        self._ceiling = least

    def __call__(self) -> float:
        """Seconds to wait before the next attempt."""
        self._ceiling = min(self._ceiling * 2, self._most)
        return self._chance.uniform(self._least, self._ceiling)

    def reset(self) -> None:
        self._ceiling = self._least


class RetriedCalls:
    """Calls that need something which may be away, for a loop that must go on meanwhile.

    Where one fails, the next try comes after a growing wait. `retried` is called at each failure.
    """

    def __init__(self, what: str, chance: Random, clock: Callable[[], float], retried: Callable[[], object]) -> None:
        self._outage = Outage(what, clock)
        self._backoff = Backoff(chance)
        self._clock = clock
        self._retried = retried
        self._due = 0.0

    def __call__(self, call: Callable[[], object]) -> bool:
        """Whether the call was made, and raised no TransientError. False without a try while a wait lasts."""
        if self._due and self._clock() < self._due:
            return False
        try:
            call()
        except TransientError as error:
            self._outage.begin(error)
            self._retried()
            self._due = self._clock() + self._backoff()
            return False
        self._outage.end()
        self._backoff.reset()
        self._due = 0.0
        return True
