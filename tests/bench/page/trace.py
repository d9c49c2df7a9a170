"""Reads the tasks and the drawn frames of one page from a browser's trace. Pure."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

CATEGORIES = (
    "disabled-by-default-devtools.timeline",  # RunTask
    "devtools.timeline",  # the events within a task
    "disabled-by-default-devtools.timeline.frame",  # DrawFrame
)
LONG_TASK_MS = 50.0
"""A task that takes longer than this time in ms is a long task, as in the browser's Long Tasks API."""

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the main thread of a page.

    `wall` is the duration in ms, and `cpu` is the CPU time in ms. If `wall` is much more than `cpu`, the machine ran
    other programs during the task. `parts` describes the longest events within the task.
    """

    wall: float
    cpu: float
    parts: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        return f"{self.wall:.0f} ms, {self.cpu:.0f} ms of CPU: {', '.join(self.parts) or 'no named event'}"


@dataclass(frozen=True, slots=True)
class Trace:
    """The tasks of the main thread, and the number of drawn frames, in a time of `seconds` seconds."""

    seconds: float
    tasks: Sequence[Task]
    frames: int

    @property
    def share(self) -> float:
        """The share of one CPU core that the main thread used, from 0 to 1."""
        return sum(task.cpu for task in self.tasks) / 1000 / self.seconds

    @property
    def rate(self) -> float:
        """The number of drawn frames per second."""
        return self.frames / self.seconds

    @property
    def longest(self) -> Task:
        return max(self.tasks, key=lambda task: task.wall)

    @property
    def busiest(self) -> Task:
        return max(self.tasks, key=lambda task: task.cpu)

    @property
    def long(self) -> list[Task]:
        return [task for task in self.tasks if task.wall > LONG_TASK_MS]

    @property
    def busy(self) -> list[Task]:
        """The tasks whose CPU time is longer than LONG_TASK_MS. Other programs do not affect the CPU time."""
        return [task for task in self.tasks if task.cpu > LONG_TASK_MS]


def join_traces(one: Trace, other: Trace) -> Trace:
    return Trace(one.seconds + other.seconds, [*one.tasks, *other.tasks], one.frames + other.frames)


def read_trace(data: bytes) -> Trace:
    """Reads a trace from its JSON. The renderer process with the most events is the page."""
    events: list[Event] = json.loads(data)["traceEvents"]
    names = {(event["pid"], event["tid"]): event["args"]["name"] for event in events if event["name"] == "thread_name"}
    threads = defaultdict(list)
    for event in events:
        thread = (event["pid"], event["tid"])
        if event["ph"] == "X" and "dur" in event and names.get(thread) == "CrRendererMain":
            threads[thread].append(event)
    (process_id, _), page_events = max(threads.items(), key=lambda item: len(item[1]))
    tasks = [event for event in page_events if event["name"] == "RunTask"]
    frames = [event for event in events if event["name"] == "DrawFrame" and event["pid"] == process_id]
    begin, end = min(event["ts"] for event in tasks), max(event["ts"] + event["dur"] for event in tasks)
    return Trace((end - begin) / 1e6, [_read_task(task, page_events) for task in tasks], len(frames))


def _read_task(task: Event, events: Sequence[Event]) -> Task:
    wall, cpu = task["dur"] / 1000, task.get("tdur", task["dur"]) / 1000
    return Task(wall, cpu, _describe_parts(task, events) if wall > LONG_TASK_MS / 2 else ())


def _describe_parts(task: Event, events: Sequence[Event], max_parts: int = 4) -> tuple[str, ...]:
    """Returns the names and durations of the longest events within a task."""
    begin, end = task["ts"], task["ts"] + task["dur"]
    within = [event for event in events if begin <= event["ts"] < end and event["name"] != "RunTask"]
    within.sort(key=lambda event: -event["dur"])
    return tuple(f"{event['name']} {event['dur'] / 1000:.0f} ms" for event in within[:max_parts])
