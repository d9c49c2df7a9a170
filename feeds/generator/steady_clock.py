"""Provides a clock for timestamps. The clock continues if the system clock is set back."""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

JUMP_NS = 1_000_000_000
"""How far the system clock may be set back so that SteadyClock still follows."""


class SteadyClock:
    """A clock that returns unix nanoseconds.

    `now` returns the system time in unix nanoseconds. `clock` returns seconds of a monotonic clock. If the system clock
    is set back by more than JUMP_NS, SteadyClock continues at the pace of `clock`. If the system clock is set ahead and
    back again, SteadyClock follows both changes.
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
        # With an older timestamp, pages would show a new price as stale.
        return steady if behind > JUMP_NS else system

    def _note_set_back(self, behind: int) -> None:
        is_set_back = behind > JUMP_NS
        if is_set_back and not self._is_set_back:
            log.warning("system clock was set back, timestamps go on; restart to follow it", seconds=behind // JUMP_NS)
        self._is_set_back = is_set_back
