"""Runs a command of manage.py with a clock that shows the time of a walk: `fast_clock BEGIN STARTED SPEED COMMAND`.

At the real time STARTED the clock shows BEGIN, both in unix seconds. The clock runs SPEED times as fast as the real
one.
Only the clock that tells the time of day changes. Waits and time limits last as long as ever.
"""

import os
import sys
import time
from pathlib import Path

_real_time = time.time


def install(begin: float, started: float, speed: float) -> None:
    """Changes the clock of this process. Must be called before other modules bind `time.time`."""
    time.time = lambda: begin + (_real_time() - started) * speed
    time.time_ns = lambda: int(time.time() * 1e6) * 1000


if __name__ == "__main__":
    install(*map(float, sys.argv[1:4]))
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")

    from stockwatch.command_line import run

    run(["manage.py", *sys.argv[4:]])
