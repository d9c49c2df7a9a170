"""Measures how many connections per second a gateway process can accept. Pure."""

from typing import NamedTuple

ASSUMED_COUNT = 500
ASSUMED_CPU_SECONDS = 1.0
"""Before its first measurement, a process assumes that 500 connections cost a second of CPU time."""
MIN_COUNT = 20
"""Seconds with fewer new connections show the cost of all other work."""
KEPT_SHARE = 0.95
"""How much of the earlier measurements counts after a new one."""
SMOOTHING = 0.2
MIN_FREE_SHARE = 0.1
SLOWEST, FASTEST = 50.0, 20_000.0
"""The bounds of the result, in connections per second."""


class Reading(NamedTuple):
    """The state of a process, in seconds and connections since the start.

    `cpu` is the CPU time that the process has used, `waited` the time that it was ready to run and waited for a core.
    """

    now: float
    cpu: float
    waited: float
    accepted: int


class AcceptRate:
    """Computes the rate from the CPU time of the process and from the number of connections that it has accepted.

    The CPU time of a second without new connections is other work, such as prices and pages. The CPU time of a second
    with many new connections is other work and the new connections. If other processes use the cores, a process gets
    less than a whole core.
    """

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._other_share = 0.0
        self._core_share = 1.0
        self._count = float(ASSUMED_COUNT)
        self._cpu = ASSUMED_CPU_SECONDS

    def note(self, reading: Reading) -> None:
        """Notes a reading. Call this method about once per second."""
        last, self._last = self._last, reading
        if last is None or reading.now <= last.now:
            return
        seconds, used, count = reading.now - last.now, reading.cpu - last.cpu, reading.accepted - last.accepted
        if used > 0:
            share = used / (used + max(0.0, reading.waited - last.waited))
            self._core_share += (share - self._core_share) * SMOOTHING
        if count < MIN_COUNT:
            self._other_share += (used / seconds - self._other_share) * SMOOTHING
        else:
            self._count = self._count * KEPT_SHARE + count
            self._cpu = self._cpu * KEPT_SHARE + max(0.0, used - self._other_share * seconds)

    @property
    def per_second(self) -> float:
        """Returns how many connections per second this process can accept beside its other work."""
        free_share = max(MIN_FREE_SHARE, self._core_share - self._other_share)
        return max(SLOWEST, free_share * self._count / max(self._cpu, self._count / FASTEST))
