"""Tracks which records are unfinished. Only the offsets before these records may be committed. Pure.

A record is finished when its update is in Redis, or when its dead letter is acknowledged. A span stands for the records
that one read returned from one partition. Not thread-safe.
"""

from collections import deque
from collections.abc import Collection


class ReadSpan:
    """The records that one read returned from one partition.

    `next_offset` is the offset after these records. A span has one part for each worker that writes some of its
    updates, and one part for each dead letter. `unfinished_parts` counts the parts that are not finished. Workers start
    no write for a span that is `fenced`.
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
        """Adds a span that ends before `next_offset`. Returns the new span."""
        span = ReadSpan(next_offset, parts)
        self._spans.setdefault(partition, deque()).append(span)
        return span

    def finish_part(self, span: ReadSpan) -> None:
        span.unfinished_parts -= 1

    def advance(self) -> dict[int, int]:
        """Removes the finished spans at the beginning of each partition.

        Returns the next offset to store for each partition with a removed span.
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
        """Removes the spans of these partitions from the ledger, and marks the spans as fenced.

        Workers start no write for a fenced span. If `partitions` is None, all spans are removed.
        """
        for partition in list(self._spans) if partitions is None else partitions:
            for span in self._spans.pop(partition, ()):
                # Another member of the group may own the partition now.
                span.fenced = True


class WorkerProgress:
    """Tracks how many updates of each worker are pending, and when each worker last finished an update.

    Times are in monotonic seconds.
    """

    def __init__(self, workers: int) -> None:
        self._pending = [0] * workers
        self._progress_at = [0.0] * workers

    @property
    def max_pending(self) -> int:
        """The highest number of pending updates that any worker has."""
        return max(self._pending)

    def max_pending_except(self, late: Collection[int], share: int) -> int:
        """Returns the highest number of pending updates of any worker.

        Before the comparison, the pending updates of each worker in `late` are divided by `share`.
        """
        return max(count // share if worker in late else count for worker, count in enumerate(self._pending))

    def pending(self, worker: int) -> int:
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
        """Returns the stalled workers, as a dict from worker number to the count of pending updates.

        A worker is stalled if it has pending updates and has finished no update for more than `seconds` seconds.
        """
        return {
            worker: count
            for worker, (count, since) in enumerate(zip(self._pending, self._progress_at, strict=True))
            if count and now - since > seconds
        }
