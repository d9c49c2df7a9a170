"""Tracks which records are unfinished. Only the offsets before these records may be committed. Pure.

A record is finished when its update is in Redis, or when its dead letter is acknowledged. The consumer reads several
records at once; a read is the group of those records that are in one partition. Not thread-safe.
"""

from collections import deque
from collections.abc import Collection


class PartitionRead:
    """The records of one partition that were read at once.

    `next_offset` is the offset after these records. A read has one part for each worker that writes some of its
    updates, and one part for each dead letter. `unfinished_parts` counts the parts that are not finished. Workers start
    no write for a read that is `fenced`.
    """

    __slots__ = ("fenced", "next_offset", "unfinished_parts")

    def __init__(self, next_offset: int, parts: int) -> None:
        self.next_offset = next_offset
        self.unfinished_parts = parts
        self.fenced = False


class OffsetLedger:
    """Holds the reads of each partition, oldest first."""

    def __init__(self) -> None:
        self._reads: dict[int, deque[PartitionRead]] = {}

    def open(self, partition: int, next_offset: int, parts: int) -> PartitionRead:
        """Adds a read that ends before `next_offset`. Returns the new read."""
        read = PartitionRead(next_offset, parts)
        self._reads.setdefault(partition, deque()).append(read)
        return read

    def finish_part(self, read: PartitionRead) -> None:
        read.unfinished_parts -= 1

    def advance(self) -> dict[int, int]:
        """Removes the finished reads at the beginning of each partition.

        Returns the next offset to store for each partition with a removed read.
        """
        offsets = {}
        for partition, reads in self._reads.items():
            while reads and reads[0].unfinished_parts <= 0:
                offsets[partition] = reads.popleft().next_offset
        return offsets

    def pending(self, partitions: Collection[int] | None = None) -> int:
        """Returns how many reads of these partitions are unfinished. None stands for all partitions."""
        selected = self._reads if partitions is None else partitions
        return sum(read.unfinished_parts > 0 for partition in selected for read in self._reads.get(partition, ()))

    def fence(self, partitions: Collection[int] | None = None) -> None:
        """Removes the reads of these partitions from the ledger, and marks the reads as fenced.

        Workers start no write for a fenced read. If `partitions` is None, all reads are removed.
        """
        for partition in list(self._reads) if partitions is None else partitions:
            for read in self._reads.pop(partition, ()):
                # Another member of the group may own the partition now.
                read.fenced = True


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

        The number of each worker in `late` is first divided by `share`.
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
