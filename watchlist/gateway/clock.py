"""Defines the clock of a gateway. Tests use a different clock."""

import time


class Clock:
    """Reads the time of this machine."""

    def now(self) -> float:
        """Returns monotonic seconds, to measure intervals."""
        return time.monotonic()

    def cpu_seconds(self) -> float:
        """Returns the CPU time that this process has used."""
        return time.process_time()

    def unix_micros(self) -> int:
        """Returns the time in unix microseconds, the unit of `timestamp` in updates."""
        return time.time_ns() // 1000
