"""Waits for another process or thread, by checking a condition repeatedly."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
NEVER_SET = threading.Event()


def wait_until(condition: Callable[[], T], seconds: float = 60.0, what: str = "condition", interval: float = 0.01) -> T:
    """Waits until `condition()` is true. Returns its value.

    Raises AssertionError after `seconds`. `what` names the condition in the message of the error. `interval` is the
    time in seconds between two checks. It should be long if a check starts a process, which uses CPU time.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        NEVER_SET.wait(interval)
    return value


async def until(condition: Callable[[], T], seconds: float = 60.0, what: str = "condition") -> T:
    """Waits as `wait_until` does. The event loop runs between two checks."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        await asyncio.sleep(0.005)
    return value
