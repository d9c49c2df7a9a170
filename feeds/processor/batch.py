"""What the processor does to records before they are written: check them, route them, order them.

Pure: imports no framework, does no I/O. The bytes of a value are carried along and never changed.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from zlib import crc32

from feeds.errors import BadRecord
from feeds.records import Record, read_update
from feeds.wire import Update

UpdateBytes = tuple[Update, bytes]
"""An update and the bytes that it was read from."""


@lru_cache(maxsize=1 << 16)
def route(symbol: str, workers: int) -> int:
    """The worker of a symbol, the same in every process and at every start, so that its updates stay in order."""
    return crc32(symbol.encode()) % workers


class PartitionShare:
    """One partition's share of what was read at once: quotes by worker, in order, and the records that are none."""

    __slots__ = ("bad", "last", "produced", "shares")

    def __init__(self, workers: int, first: Record) -> None:
        self.shares: list[list[UpdateBytes]] = [[] for _ in range(workers)]
        self.bad: list[tuple[Record, BadRecord]] = []
        self.last = first
        self.produced = first.timestamp()[1]
        """When the first was produced, in unix milliseconds by its producer's clock."""

    @property
    def next_offset(self) -> int:
        return (self.last.offset() or 0) + 1


def sort(records: Iterable[Record], workers: int) -> dict[int, PartitionShare]:
    """Checks records and deals them out, by partition and worker; `bad` has the others, with their reasons."""
    partitions: dict[int, PartitionShare] = {}
    for record in records:
        partition = record.partition() or 0
        share = partitions.get(partition)
        if share is None:
            share = partitions[partition] = PartitionShare(workers, record)
        share.last = record
        value = record.value()
        try:
            update = read_update(record.key(), value)
        except BadRecord as error:
            share.bad.append((record, error))
        else:
            worker = route(update.symbol, workers) if workers > 1 else 0
            share.shares[worker].append((update, value or b""))
    return partitions


class Series:
    """Updates of one symbol, each newer than the one before; `values` are their bytes."""

    __slots__ = ("first", "last", "values")

    def __init__(self, update: Update, value: bytes) -> None:
        self.first = self.last = update
        self.values = [value]


class Batch:
    """What one write takes: a series for each symbol, and the count of what was stale within the batch already."""

    __slots__ = ("series", "size", "stale")

    def __init__(self, shares: Iterable[Sequence[UpdateBytes]] = ()) -> None:
        self.series: dict[str, Series] = {}
        self.size = 0
        self.stale = 0
        for share in shares:
            self.add(share)

    def add(self, quotes: Sequence[UpdateBytes]) -> None:
        """Appends quotes in their order; one that is not newer than its symbol's last is counted and left out."""
        known = self.series
        self.size += len(quotes)
        for update, value in quotes:
            series = known.get(update.symbol)
            if series is None:
                known[update.symbol] = Series(update, value)
                continue
            last = series.last
            if update.timestamp > last.timestamp or (
                update.timestamp == last.timestamp and update.seq_id > last.seq_id
            ):
                series.last = update
                series.values.append(value)
            else:
                self.stale += 1

    @property
    def oldest(self) -> int:
        """Unix microseconds of the update that has waited longest. The batch must not be empty."""
        return min(series.first.timestamp for series in self.series.values())
