"""Waiting for what another process or thread does: a condition, asked until it holds or the time is over."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE = threading.Event()


def wait_until(condition: Callable[[], T], seconds: float = 60.0, what: str = "condition") -> T:
    """The condition's first true value. Raises AssertionError when it does not hold within the seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        PAUSE.wait(0.01)
    return value


async def until(condition: Callable[[], T], seconds: float = 60.0, what: str = "condition") -> T:
    """`wait_until` for coroutines: lets the loop run in between."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        await asyncio.sleep(0.005)
    return value
