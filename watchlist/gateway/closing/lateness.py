"""Measures how late a periodic task runs. Pure.

A process that was overloaded or suspended reads the answers of its clients late. A time-out must not count this time.
"""

from collections import deque


class Lateness:
    """Adds up by how many seconds a periodic task was late within the last `window` seconds.

    A call of the task is late if more than `period` seconds have passed since the previous call. The
    attribute `seconds` holds the sum.
    """

    def __init__(self, period: float, window: float) -> None:
        self._period = period
        self._window = window
        self._last: float | None = None
        self._late: deque[tuple[float, float]] = deque()
        self.seconds = 0.0

    def note(self, now: float) -> None:
        """Notes a call of the task. `now` is in monotonic seconds."""
        late = 0.0 if self._last is None else max(0.0, now - self._last - self._period)
        self._last = now
        self._late.append((now, late))
        while self._late[0][0] < now - self._window:
            self._late.popleft()
        self.seconds = sum(late for _, late in self._late)
