"""The ledger of what was read and is not done: says up to where each partition may be committed, and who has what.

Done is what is in Redis, or acknowledged among the dead letters.

Pure, and not for several threads: the thread that owns the consumer owns the ledger too; workers hand their finished
parts back to it.
"""

from collections import deque
from collections.abc import Collection


class ReadSpan:
    """A run of one partition's offsets that was read at once, and how many parts of it are not done: the shares of
    workers, and each dead letter.

    `fenced` tells a worker to start no write for it: the partition belongs to somebody else now.
    """

    __slots__ = ("fenced", "next_offset", "parts")

    def __init__(self, next_offset: int, parts: int) -> None:
        self.next_offset = next_offset
        self.parts = parts
        self.fenced = False


class OffsetLedger:
    """Spans in the order in which they were read, by partition."""

    def __init__(self) -> None:
        self._spans: dict[int, deque[ReadSpan]] = {}

    def open(self, partition: int, next_offset: int, parts: int) -> ReadSpan:
        """Enters what was read up to before `next_offset` and given out in so many parts; none means done already."""
        span = ReadSpan(next_offset, parts)
        self._spans.setdefault(partition, deque()).append(span)
        return span

    def close(self, span: ReadSpan) -> None:
        """One part of the span is done."""
        span.parts -= 1

    def advance(self) -> dict[int, int]:
        """The offset to store for each partition that has moved since the last call: its contiguous finished prefix."""
        moved = {}
        for partition, spans in self._spans.items():
            while spans and spans[0].parts <= 0:
                moved[partition] = spans.popleft().next_offset
        return moved

    def pending(self, partitions: Collection[int] | None = None) -> int:
        """How many spans are unfinished, in these partitions or in all."""
        chosen = self._spans if partitions is None else partitions
        return sum(span.parts > 0 for partition in chosen for span in self._spans.get(partition, ()))

    def fence(self, partitions: Collection[int] | None = None) -> None:
        """Forgets partitions, or all, and marks what of them is with workers; it may not be written or stored."""
        for partition in list(self._spans) if partitions is None else partitions:
            for span in self._spans.pop(partition, ()):
                span.fenced = True


class WorkerLoads:
    """What each worker has in hand, and since when it has given nothing back. Seconds by any clock."""

    def __init__(self, workers: int) -> None:
        self._counts = [0] * workers
        self._since = [0.0] * workers

    @property
    def greatest(self) -> int:
        """Updates with the worker that has most."""
        return max(self._counts)

    def give(self, worker: int, count: int, now: float) -> None:
        """So many updates more."""
        if not self._counts[worker]:
            self._since[worker] = now
        self._counts[worker] += count

    def take(self, worker: int, count: int, now: float) -> None:
        """So many are done."""
        self._counts[worker] -= count
        self._since[worker] = now

    def held(self, patience: float, now: float) -> dict[int, int]:
        """Workers that have had the same updates for more than so many seconds, and how many updates."""
        return {
            worker: count
            for worker, (count, since) in enumerate(zip(self._counts, self._since, strict=True))
            if count and now - since > patience
        }
