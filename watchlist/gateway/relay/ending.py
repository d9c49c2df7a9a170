"""Ends tasks of asyncio that use the client of Redis."""

import asyncio
from collections.abc import Iterable

CANCEL_SECONDS = 0.1


async def end_tasks(tasks: Iterable["asyncio.Task[None] | None"]) -> None:
    """Cancels tasks until they have ended.

    The client of Redis uses `asyncio.wait_for`, which ignores a cancellation that comes together with a result.
    """
    running = {task for task in tasks if task is not None and not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_SECONDS)
