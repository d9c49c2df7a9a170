"""Validates records, and splits them by partition and worker. Pure.

The bytes of a record's value are passed on unchanged.
"""

from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial
from zlib import crc32

from feeds.errors import BadRecord
from feeds.records import Record, read_update
from feeds.store.batch import EncodedUpdate


def choose_worker(symbol: str, workers: int) -> int:
    """Returns the number of the worker that writes all updates of a symbol."""
    return crc32(symbol.encode()) % workers


@cache
def worker_chooser(workers: int) -> Callable[[str], int]:
    """Returns `choose_worker` for this number of workers, with a cache of its results."""
    return lru_cache(maxsize=1 << 16)(partial(choose_worker, workers=workers))


class FetchedPartition:
    """The records of one partition from one read.

    `by_worker` has one list of valid updates for each worker, oldest offset first. `invalid` holds pairs of an invalid
    record and its error. `last` is the last record. `produced_ms` is the producer's timestamp of the first record, in
    unix milliseconds.
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


def split_records(
    records: Iterable[Record], workers: int, latest: int, choose: Callable[[str], int] | None = None
) -> dict[int, FetchedPartition]:
    """Decodes the records of one read, and groups them by partition and by worker.

    An update with a timestamp greater than `latest` is not valid. `choose` returns the number of the worker for a
    symbol; the default is `choose_worker`.
    """
    choose = choose or worker_chooser(workers)
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
            update = read_update(record.key(), value, latest)
        except BadRecord as error:
            partition.invalid.append((record, error))
        else:
            worker = choose(update.symbol) if workers > 1 else 0
            partition.by_worker[worker].append((update, value or b""))
    return partitions
