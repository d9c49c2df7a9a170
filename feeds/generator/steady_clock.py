"""A clock for timestamps that goes on at its pace if the system clock is set back.

The order of updates must not go back, so the timestamps of a generator that follows a clock set back by an hour would
stand still for an hour, and every page would call prices old that are new.
"""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

JUMP_NS = 1_000_000_000
"""A smaller difference is a correction that the system clock is right about."""


class SteadyClock:
    """Returns unix nanoseconds. `now` is the system clock, `clock` returns seconds that are never set.

    A clock that jumps ahead is followed, but not relied on: when it returns, that is not a step back.
    """

    def __init__(self, now: Callable[[], int], clock: Callable[[], float]) -> None:
        self._now = now
        self._clock = clock
        self._anchor = now(), clock()
        self._is_set_back = False

    def __call__(self) -> int:
        system, elapsed = self._now(), self._clock()
        steady = self._anchor[0] + int((elapsed - self._anchor[1]) * 1e9)
        behind = steady - system
        if abs(behind) <= JUMP_NS:
            self._anchor = system, elapsed
        self._note_set_back(behind)
        return steady if behind > JUMP_NS else system

    def _note_set_back(self, behind: int) -> None:
        is_set_back = behind > JUMP_NS
        if is_set_back and not self._is_set_back:
            log.warning("system clock was set back, timestamps go on; restart to follow it", seconds=behind // JUMP_NS)
        self._is_set_back = is_set_back
