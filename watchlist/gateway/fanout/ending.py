"""Cancels asyncio tasks that use the Redis client."""

import asyncio
from collections.abc import Iterable

CANCEL_SECONDS = 0.1


async def end_tasks(tasks: Iterable["asyncio.Task[None] | None"]) -> None:
    """Cancels tasks again and again, until all of them have ended."""
    running = {task for task in tasks if task is not None and not task.done()}
    # The Redis client uses `asyncio.wait_for`, which ignores a cancellation that comes together with a result.
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_SECONDS)
