"""Measures how many connections per second a gateway process can accept. Pure."""

from typing import NamedTuple

ASSUMED_COUNT = 500
ASSUMED_CPU_SECONDS = 1.0
"""Before the first measurement, a process assumes that ASSUMED_COUNT connections cost this CPU time."""
MIN_COUNT = 20
"""In a second with fewer new connections, no CPU time counts as the cost of connections."""
KEPT_SHARE = 0.95
"""Each new measurement multiplies the weight of all earlier measurements by this factor."""
SMOOTHING = 0.2
MIN_FREE_SHARE = 0.1
SLOWEST, FASTEST = 50.0, 20_000.0
"""The bounds of the estimate, in connections per second."""


class Reading(NamedTuple):
    """The times and the number of connections of this process at one moment. All times are in seconds.

    `now` is monotonic time. The other fields count from the start of the process. `cpu` is the used CPU time. `waited`
    is the time of waiting for a free core. `accepted` is the number of accepted connections.
    """

    now: float
    cpu: float
    waited: float
    accepted: int


class AcceptRate:
    """Estimates how many connections per second this process can accept beside its other work.

    The estimate falls if other work of this process, or other processes, use more CPU time.
    """

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._other_share = 0.0
        self._core_share = 1.0
        self._count = float(ASSUMED_COUNT)
        self._cpu = ASSUMED_CPU_SECONDS

    def note(self, reading: Reading) -> None:
        """Updates the estimate from a new reading. Call this method about once per second."""
        last, self._last = self._last, reading
        if last is None or reading.now <= last.now:
            return
        seconds, used, count = reading.now - last.now, reading.cpu - last.cpu, reading.accepted - last.accepted
        if used > 0:
            share = used / (used + max(0.0, reading.waited - last.waited))
            self._core_share += (share - self._core_share) * SMOOTHING
        # A second with few new connections shows the CPU time of other work, such as prices and pages. In a second with
        # many new connections, the CPU time beyond the other work is the cost of the connections.
        if count < MIN_COUNT:
            self._other_share += (used / seconds - self._other_share) * SMOOTHING
        else:
            self._count = self._count * KEPT_SHARE + count
            self._cpu = self._cpu * KEPT_SHARE + max(0.0, used - self._other_share * seconds)

    @property
    def per_second(self) -> float:
        """Returns the estimate, in connections per second."""
        free_share = max(MIN_FREE_SHARE, self._core_share - self._other_share)
        return max(SLOWEST, free_share * self._count / max(self._cpu, self._count / FASTEST))
