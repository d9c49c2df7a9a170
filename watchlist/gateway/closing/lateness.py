"""Measures how late a periodic task runs. Pure.

The gateway adds the delays to its time-outs, because a late process also reads the answers of its clients late.
"""

from collections import deque


class Lateness:
    """Measures the delays of a task that should run every `period` seconds.

    A run is late if more than `period` seconds have passed since the previous run. `seconds` is the sum of the delays
    within the last `window` seconds.
    """

    def __init__(self, period: float, window: float) -> None:
        self._period = period
        self._window = window
        self._last: float | None = None
        self._late: deque[tuple[float, float]] = deque()
        self.seconds = 0.0

    def note(self, now: float) -> None:
        """Measures the delay of the run at `now` (monotonic seconds), and updates `seconds`."""
        late = 0.0 if self._last is None else max(0.0, now - self._last - self._period)
        self._last = now
        self._late.append((now, late))
        while self._late[0][0] < now - self._window:
            self._late.popleft()
        self.seconds = sum(late for _, late in self._late)
