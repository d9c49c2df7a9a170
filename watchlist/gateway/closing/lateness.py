"""Measures how late a periodic task runs. Pure.

A process that is overloaded, or that was stopped for a while, reads the answers of its clients late. A time-out must
not count this time: otherwise the process closes sockets of clients that have answered, and all of them connect again.
"""

from collections import deque


class Lateness:
    """Adds up the seconds by which the runs of a periodic task were late.

    A run is late by the time beyond `period` since the run before. The sum has the runs of the last `window` seconds.
    """

    def __init__(self, period: float, window: float) -> None:
        self._period = period
        self._window = window
        self._last: float | None = None
        self._late: deque[tuple[float, float]] = deque()
        self.seconds = 0.0

    def note(self, now: float) -> None:
        """Notes a run. `now` is in monotonic seconds."""
        late = 0.0 if self._last is None else max(0.0, now - self._last - self._period)
        self._last = now
        self._late.append((now, late))
        while self._late[0][0] < now - self._window:
            self._late.popleft()
        self.seconds = sum(late for _, late in self._late)
