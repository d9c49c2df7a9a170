"""What a browser's trace says of one page: tasks of its main thread, and frames that were drawn. Pure."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

CATEGORIES = (
    "disabled-by-default-devtools.timeline",  # RunTask
    "devtools.timeline",  # what a task did
    "disabled-by-default-devtools.timeline.frame",  # DrawFrame
)
LONG = 50.0
"""Milliseconds from which on a task is long, as the Long Tasks API has it."""

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One task of the main thread: milliseconds by the clock and of CPU, and what took most of it.

    A task may take long by the clock and little of the CPU: then the machine ran something else meanwhile.
    """

    wall: float
    cpu: float
    parts: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        return f"{self.wall:.0f} ms, {self.cpu:.0f} ms of CPU: {', '.join(self.parts) or 'nothing that has a name'}"


@dataclass(frozen=True, slots=True)
class Trace:
    """`seconds` from the first to the last task; `tasks` are the main thread's, `frames` those that were drawn."""

    seconds: float
    tasks: Sequence[Task]
    frames: int

    @property
    def share(self) -> float:
        """Of a core, that the main thread used."""
        return sum(task.cpu for task in self.tasks) / 1000 / self.seconds

    @property
    def rate(self) -> float:
        return self.frames / self.seconds

    @property
    def longest(self) -> Task:
        return max(self.tasks, key=lambda task: task.wall)

    @property
    def busiest(self) -> Task:
        return max(self.tasks, key=lambda task: task.cpu)

    @property
    def long(self) -> list[Task]:
        return [task for task in self.tasks if task.wall > LONG]

    @property
    def busy(self) -> list[Task]:
        """Those that are long by the CPU that they used, whatever else the machine did."""
        return [task for task in self.tasks if task.cpu > LONG]


def join_traces(one: Trace, other: Trace) -> Trace:
    return Trace(one.seconds + other.seconds, [*one.tasks, *other.tasks], one.frames + other.frames)


def read_trace(data: bytes) -> Trace:
    """From the JSON that the browser wrote. The page is the renderer that was busiest."""
    events: list[Event] = json.loads(data)["traceEvents"]
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    threads = defaultdict(list)
    for event in events:
        place = (event["pid"], event["tid"])
        if event["ph"] == "X" and "dur" in event and names.get(place) == "CrRendererMain":
            threads[place].append(event)
    process, own = max(threads.items(), key=lambda item: len(item[1]))
    tasks = [event for event in own if event["name"] == "RunTask"]
    frames = [event for event in events if event["name"] == "DrawFrame" and event["pid"] == process[0]]
    begun, ended = min(event["ts"] for event in tasks), max(event["ts"] + event["dur"] for event in tasks)
    return Trace((ended - begun) / 1e6, [_read_task(task, own) for task in tasks], len(frames))


def _read_task(task: Event, events: Sequence[Event]) -> Task:
    wall, cpu = task["dur"] / 1000, task.get("tdur", task["dur"]) / 1000
    return Task(wall, cpu, _name_parts(task, events) if wall > LONG / 2 else ())


def _name_parts(task: Event, events: Sequence[Event], most: int = 4) -> tuple[str, ...]:
    """The longest that happened within a task, by the clock."""
    begun, ended = task["ts"], task["ts"] + task["dur"]
    within = [event for event in events if begun <= event["ts"] < ended and event["name"] != "RunTask"]
    within.sort(key=lambda event: -event["dur"])
    return tuple(f"{event['name']} {event['dur'] / 1000:.0f} ms" for event in within[:most])
