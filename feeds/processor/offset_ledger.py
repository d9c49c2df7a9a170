"""Tracks what was read and is not finished, which decides the offsets to commit.

A record is finished when its update is in Redis, or when its dead letter is acknowledged.

Pure. Not thread-safe: only the thread that owns the consumer uses it. Workers return finished tasks to that thread.
"""

from collections import deque
from collections.abc import Collection


class ReadSpan:
    """Consecutive offsets of one partition from one read.

    `unfinished` counts its parts that are not finished: one for each worker and one for each dead letter. `fenced`
    tells workers to start no write for it, because another member owns the partition.
    """

    __slots__ = ("fenced", "next_offset", "unfinished")

    def __init__(self, next_offset: int, parts: int) -> None:
        self.next_offset = next_offset
        self.unfinished = parts
        self.fenced = False


class OffsetLedger:
    """The spans of each partition, in the order in which they were read."""

    def __init__(self) -> None:
        self._spans: dict[int, deque[ReadSpan]] = {}

    def open(self, partition: int, next_offset: int, parts: int) -> ReadSpan:
        """Adds a span that ends before `next_offset`. A span without parts is finished already."""
        span = ReadSpan(next_offset, parts)
        self._spans.setdefault(partition, deque()).append(span)
        return span

    def finish_part(self, span: ReadSpan) -> None:
        """Notes that one part of a span is finished."""
        span.unfinished -= 1

    def advance(self) -> dict[int, int]:
        """Returns the offset to store for each partition whose finished prefix has grown since the last call."""
        offsets = {}
        for partition, spans in self._spans.items():
            while spans and spans[0].unfinished <= 0:
                offsets[partition] = spans.popleft().next_offset
        return offsets

    def pending(self, partitions: Collection[int] | None = None) -> int:
        """Returns how many spans of these partitions, or of all, are unfinished."""
        selected = self._spans if partitions is None else partitions
        return sum(span.unfinished > 0 for partition in selected for span in self._spans.get(partition, ()))

    def fence(self, partitions: Collection[int] | None = None) -> None:
        """Removes these partitions, or all, and marks their spans, so that they are neither written nor stored."""
        for partition in list(self._spans) if partitions is None else partitions:
            for span in self._spans.pop(partition, ()):
                span.fenced = True


class WorkerProgress:
    """The pending updates of each worker, and when it last finished some. Seconds by any clock."""

    def __init__(self, workers: int) -> None:
        self._pending = [0] * workers
        self._progress_at = [0.0] * workers

    @property
    def max_pending(self) -> int:
        """The largest number of updates that one worker has."""
        return max(self._pending)

    def assign(self, worker: int, count: int, now: float) -> None:
        """Notes that a worker got updates."""
        if not self._pending[worker]:
            self._progress_at[worker] = now
        self._pending[worker] += count

    def complete(self, worker: int, count: int, now: float) -> None:
        """Notes that a worker finished updates."""
        self._pending[worker] -= count
        self._progress_at[worker] = now

    def stalled(self, seconds: float, now: float) -> dict[int, int]:
        """Returns the pending updates of each worker that has finished none for more than `seconds`."""
        return {
            worker: count
            for worker, (count, since) in enumerate(zip(self._pending, self._progress_at, strict=True))
            if count and now - since > seconds
        }
