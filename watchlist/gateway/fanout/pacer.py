"""Flushes the cohorts (groups of sockets) that have a limit of updates per second. Pure: the timer is an argument."""

from collections.abc import Callable

from watchlist.gateway.fanout.cohort import Cohort

PHASES = 8
"""The number of equal parts of an interval. Cohorts are flushed in different parts, which spreads the work."""

Schedule = Callable[[float, Callable[[], None]], object]
"""A function that calls another function after a number of seconds, in the same thread."""


class Pacer:
    """Calls `flush` for each of its cohorts once per `interval` seconds.

    A cohort is a group of sockets with the same symbols and delivery options. `schedule` starts the timer. A pacer
    without cohorts uses no timer.
    """

    def __init__(self, interval: float, schedule: Schedule, flush: Callable[[Cohort], None]) -> None:
        self._interval = interval
        self._schedule = schedule
        self._flush = flush
        self._phases: list[dict[Cohort, None]] = [{} for _ in range(PHASES)]
        self._next_phase = 0
        self._scheduled = False

    def add(self, cohort: Cohort) -> None:
        """Adds a cohort. The interval of the cohort's delivery options must be the interval of this pacer."""
        cohort.phase = min(range(PHASES), key=lambda number: len(self._phases[number]))
        self._phases[cohort.phase][cohort] = None
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self._interval / PHASES, self._flush_next_phase)

    def discard(self, cohort: Cohort) -> None:
        self._phases[cohort.phase].pop(cohort, None)

    def _flush_next_phase(self) -> None:
        if not any(self._phases):
            self._scheduled = False
            return
        self._schedule(self._interval / PHASES, self._flush_next_phase)
        self._next_phase = (self._next_phase + 1) % PHASES
        for cohort in list(self._phases[self._next_phase]):
            self._flush(cohort)
