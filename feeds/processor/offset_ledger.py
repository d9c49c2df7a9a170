"""Tracks which records are unfinished. Only the offsets before these records may be committed.

A record is finished when its update is in Redis, or when its dead letter is acknowledged. Records are tracked in spans.
A span stands for the records that one read returned from one partition.

Pure. Not thread-safe: only the thread that owns the consumer uses the ledger. Workers return finished tasks to that
thread.
"""

from collections import deque
from collections.abc import Collection


class ReadSpan:
    """A span: the records that one read returned from one partition.

    `next_offset` is the offset after the span. A span has one part for each worker that writes some of the span's
    updates, and one part for each dead letter. `unfinished_parts` counts the parts that are not finished. If `fenced`
    is true, another member of the group owns the partition, and workers start no write for the span.
    """

    __slots__ = ("fenced", "next_offset", "unfinished_parts")

    def __init__(self, next_offset: int, parts: int) -> None:
        self.next_offset = next_offset
        self.unfinished_parts = parts
        self.fenced = False


class OffsetLedger:
    """Holds the spans of each partition, oldest first."""

    def __init__(self) -> None:
        self._spans: dict[int, deque[ReadSpan]] = {}

    def open(self, partition: int, next_offset: int, parts: int) -> ReadSpan:
        """Adds a span that ends before `next_offset`. Returns the new span.

        A span without parts is finished from the start.
        """
        span = ReadSpan(next_offset, parts)
        self._spans.setdefault(partition, deque()).append(span)
        return span

    def finish_part(self, span: ReadSpan) -> None:
        """Counts one part of a span as finished."""
        span.unfinished_parts -= 1

    def advance(self) -> dict[int, int]:
        """Removes finished spans. Returns a dict from partition to the next offset to store.

        In each partition, all finished spans before the first unfinished span are removed. The offset is the end of the
        last removed span. The dict leaves out partitions without a removed span.
        """
        offsets = {}
        for partition, spans in self._spans.items():
            while spans and spans[0].unfinished_parts <= 0:
                offsets[partition] = spans.popleft().next_offset
        return offsets

    def pending(self, partitions: Collection[int] | None = None) -> int:
        """Returns how many spans of these partitions are unfinished. None stands for all partitions."""
        selected = self._spans if partitions is None else partitions
        return sum(span.unfinished_parts > 0 for partition in selected for span in self._spans.get(partition, ()))

    def fence(self, partitions: Collection[int] | None = None) -> None:
        """Fences the spans of these partitions, and removes the spans from the ledger.

        Workers start no write for a fenced span. The offset of a fenced span is not stored. None stands for all
        partitions.
        """
        for partition in list(self._spans) if partitions is None else partitions:
            for span in self._spans.pop(partition, ()):
                span.fenced = True


class WorkerProgress:
    """Tracks the pending updates of each worker, and when the worker last finished an update.

    Times are in seconds since any fixed moment.
    """

    def __init__(self, workers: int) -> None:
        self._pending = [0] * workers
        self._progress_at = [0.0] * workers

    @property
    def max_pending(self) -> int:
        """The highest number of pending updates that any worker has."""
        return max(self._pending)

    def max_pending_except(self, late: Collection[int], share: int) -> int:
        """Returns the highest number of pending updates of any worker, where late workers count less.

        `late` holds the numbers of the late workers. The count of a late worker is divided by `share` before the
        comparison.
        """
        return max(count // share if worker in late else count for worker, count in enumerate(self._pending))

    def pending(self, worker: int) -> int:
        """Returns how many updates of a worker are pending."""
        return self._pending[worker]

    def assign(self, worker: int, count: int, now: float) -> None:
        """Adds `count` updates to the pending updates of a worker."""
        if not self._pending[worker]:
            self._progress_at[worker] = now
        self._pending[worker] += count

    def complete(self, worker: int, count: int, now: float) -> None:
        """Removes `count` finished updates from the pending updates of a worker."""
        self._pending[worker] -= count
        self._progress_at[worker] = now

    def stalled(self, seconds: float, now: float) -> dict[int, int]:
        """Returns a dict from stalled worker to the number of its pending updates.

        A worker is stalled if it has pending updates and has finished no update for more than `seconds` seconds.
        """
        return {
            worker: count
            for worker, (count, since) in enumerate(zip(self._pending, self._progress_at, strict=True))
            if count and now - since > seconds
        }
