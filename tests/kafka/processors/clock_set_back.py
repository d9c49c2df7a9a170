"""Runs `runkafkagen` with a clock that SIGUSR1 sets back by an hour, or that is behind from the start (`back`)."""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

HOUR = 3_600_000_000_000

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")

real_time_ns = time.time_ns
shift = HOUR if sys.argv[1:] == ["back"] else 0


def set_back(_number: int, _frame: FrameType | None) -> None:
    global shift
    shift = HOUR


# Before the import of the generator, whose default clock is bound then.
time.time_ns = lambda: real_time_ns() - shift
signal.signal(signal.SIGUSR1, set_back)

from django.core.management import execute_from_command_line  # noqa: E402

execute_from_command_line(["manage.py", "runkafkagen"])
