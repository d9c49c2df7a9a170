"""Defines the clock of a gateway. Tests use a different clock."""

import time
from pathlib import Path


class Clock:
    """Reads the time of this machine and the CPU time of this process."""

    def now(self) -> float:
        """Returns monotonic seconds, to measure intervals."""
        return time.monotonic()

    def cpu_wait_seconds(self) -> float:
        """Returns how long the main thread has waited for a free core since its start, in seconds.

        Returns 0 if the system does not measure this time.
        """
        try:
            return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0.0

    def unix_micros(self) -> int:
        """Returns the time in unix microseconds, the unit of `timestamp` in updates."""
        return time.time_ns() // 1000

    def cpu_seconds(self) -> float:
        """Returns the CPU time that this process has used since its start, in seconds."""
        return time.process_time()
