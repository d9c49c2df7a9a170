"""The clock of a gateway. Tests pass another one."""

import time


class Clock:
    """Reads the time of this machine."""

    def now(self) -> float:
        """Monotonic seconds, for intervals."""
        return time.monotonic()

    def unix_micros(self) -> int:
        """Unix microseconds, the unit of `timestamp` in updates."""
        return time.time_ns() // 1000
