"""Validates records, splits them by worker, and builds batches of ascending updates.

Pure: no I/O, no framework. The bytes of a value are passed on unchanged.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from zlib import crc32

from feeds.errors import BadRecord
from feeds.records import Record, read_update
from feeds.stale import is_newer
from feeds.wire import Update

EncodedUpdate = tuple[Update, bytes]
"""An update and the bytes from which it was decoded."""


@lru_cache(maxsize=1 << 16)
def choose_worker(symbol: str, workers: int) -> int:
    """Returns the worker of a symbol: always the same one, so that the updates of a symbol stay in order."""
    return crc32(symbol.encode()) % workers


class FetchedPartition:
    """The records of one partition from one read: updates by worker, in order, and invalid records.

    `produced_ms` is the producer's timestamp of the first record, in unix milliseconds.
    """

    __slots__ = ("by_worker", "invalid", "last", "produced_ms")

    def __init__(self, workers: int, first: Record) -> None:
        self.by_worker: list[list[EncodedUpdate]] = [[] for _ in range(workers)]
        self.invalid: list[tuple[Record, BadRecord]] = []
        self.last = first
        self.produced_ms = first.timestamp()[1]

    @property
    def next_offset(self) -> int:
        return (self.last.offset() or 0) + 1


def split_records(records: Iterable[Record], workers: int) -> dict[int, FetchedPartition]:
    """Validates records and splits them by partition and worker."""
    partitions: dict[int, FetchedPartition] = {}
    partition, current = None, -1
    for record in records:
        number = record.partition() or 0
        if partition is None or number != current:  # a read returns the records of a partition together
            partition, current = partitions.get(number), number
            if partition is None:
                partition = partitions[number] = FetchedPartition(workers, record)
        partition.last = record
        value = record.value()
        try:
            update = read_update(record.key(), value)
        except BadRecord as error:
            partition.invalid.append((record, error))
        else:
            worker = choose_worker(update.symbol, workers) if workers > 1 else 0
            partition.by_worker[worker].append((update, value or b""))
    return partitions


class SymbolUpdates:
    """Updates of one symbol, each newer than the one before. `values` are their bytes."""

    __slots__ = ("first", "last", "values")

    def __init__(self, update: Update, value: bytes) -> None:
        self.first = self.last = update
        self.values = [value]


class Batch:
    """The updates of one write by symbol. `stale` counts those dropped because the batch has a newer or equal one."""

    __slots__ = ("by_symbol", "size", "stale")

    def __init__(self, parts: Iterable[Sequence[EncodedUpdate]] = ()) -> None:
        self.by_symbol: dict[str, SymbolUpdates] = {}
        self.size = 0
        self.stale = 0
        for updates in parts:
            self.add(updates)

    def add(self, updates: Sequence[EncodedUpdate]) -> None:
        """Appends updates in their order, and drops those that are stale within the batch."""
        by_symbol = self.by_symbol
        self.size += len(updates)
        for update, value in updates:
            known = by_symbol.get(update.symbol)
            if known is None:
                by_symbol[update.symbol] = SymbolUpdates(update, value)
            elif is_newer(update, known.last):
                known.last = update
                known.values.append(value)
            else:
                self.stale += 1

    @property
    def oldest_timestamp(self) -> int:
        """Unix microseconds. The batch must not be empty."""
        return min(updates.first.timestamp for updates in self.by_symbol.values())
