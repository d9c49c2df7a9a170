"""Shares connection counts and metrics between the processes of one gateway.

Connection counts are in shared memory. Metrics are in a folder with one file per process. Each process writes its file
every second. The successor of a dead process adds the counters of the dead process to its file, so that no sum
decreases.
"""

import hashlib
import mmap
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import structlog
from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

log = structlog.get_logger(__name__)

COUNT = struct.Struct("<q")
ADDRESS_COUNT = struct.Struct("<i")
ADDRESS_PLACES = 65_536
"""How many counts of addresses each process has in shared memory. Addresses with the same hash share a count."""
SECRET_BYTES = 16
MAXIMUM_ENDINGS = ("_timestamp_seconds", "_nodes_lost")
MINIMUM_GAUGES = (
    *("stockwatch_fast_path", "stockwatch_channel_layer_connected", "stockwatch_database_answers"),
    "stockwatch_compresses_small_cohorts",
)
"""Gauges whose total is the minimum over all processes."""

SampleKey = tuple[str, frozenset[tuple[str, str]]]
"""The name and the labels of a sample."""


class StoredSample(msgspec.Struct, frozen=True):
    """One value of a metric in the file of a process.

    If `is_counter` is true, the value still counts after the process has died.
    """

    name: str
    labels: dict[str, str]
    value: float
    is_counter: bool


class SharedCounts:
    """The connection counts and metrics of `slots` processes.

    `slot` is the number of this process, from 0. `memory` is a file descriptor from `create_memory`. `folder` holds the
    files with metrics.
    """

    def __init__(self, memory: int, folder: str, slots: int, slot: int) -> None:
        self._slots = slots
        self.slot = slot
        self._counts = mmap.mmap(memory, memory_size(slots))
        self._secret = self._counts[slots * COUNT.size : slots * COUNT.size + SECRET_BYTES]
        own_table = self._offset(slot, 0)
        self._counts[own_table : self._offset(slot + 1, 0)] = bytes(ADDRESS_PLACES * ADDRESS_COUNT.size)
        self._folder = Path(folder)
        self._inherited: list[StoredSample] = []
        """The counters of the dead processes that had this slot."""

        if (predecessor := self._file(slot)).exists():
            self._inherited = add_up_counters(read_samples(predecessor))
            self.store_metrics([])  # ends the gauges of the dead process

    @staticmethod
    def create_memory(slots: int) -> int:
        """Returns a file descriptor of shared memory for `slots` processes."""
        if hasattr(os, "memfd_create"):
            memory = os.memfd_create("stockwatch-counts", 0)
        else:
            memory, name = tempfile.mkstemp(prefix="stockwatch-counts-")
            os.unlink(name)
        os.truncate(memory, memory_size(slots))
        os.pwrite(memory, os.urandom(SECRET_BYTES), slots * COUNT.size)
        return memory

    def set_connections(self, count: int) -> int:
        """Stores the connection count of this process. Returns the sum of the other processes' counts."""
        COUNT.pack_into(self._counts, self.slot * COUNT.size, count)
        counts: list[int] = [COUNT.unpack_from(self._counts, slot * COUNT.size)[0] for slot in range(self._slots)]
        return sum(counts) - count

    def note_address(self, kind: str, address: str, change: int) -> int:
        """Adds `change` to this process's count for an address. Returns the sum of the other processes' counts.

        `kind` is `sockets` or `http`. An address has one count of connections for each kind.
        """
        # The place depends on a secret, so that no client can choose an address with the place of another client.
        digest = hashlib.blake2b(f"{kind} {address}".encode(), key=self._secret, digest_size=2).digest()
        place = int.from_bytes(digest, "big")
        total = 0
        for slot in range(self._slots):
            (count,) = ADDRESS_COUNT.unpack_from(self._counts, self._offset(slot, place))
            if slot != self.slot:
                total += count
            elif change:
                ADDRESS_COUNT.pack_into(self._counts, self._offset(slot, place), count + change)
        return total

    def _offset(self, slot: int, place: int) -> int:
        """Returns where the count of an address begins in the shared memory, in bytes.

        `slot` is the number of a process. `place` is the position of the count in the table of that process.
        """
        tables = self._slots * COUNT.size + SECRET_BYTES
        return tables + (slot * ADDRESS_PLACES + place) * ADDRESS_COUNT.size

    def store_metrics(self, families: Iterable[Metric]) -> None:
        """Writes the samples of this process to its file. The other processes read this file."""
        samples = [
            StoredSample(sample.name, dict(sample.labels), float(sample.value), family.type in {"counter", "histogram"})
            for family in families
            for sample in family.samples
            if not sample.name.endswith("_created")
        ]
        new_file = self._file(self.slot).with_suffix(".new")
        new_file.write_bytes(msgspec.json.encode(samples + self._inherited))
        new_file.replace(self._file(self.slot))

    def load_other_metrics(self) -> list[StoredSample]:
        """Returns the samples of the other processes. For a dead and replaced process, returns only the counters."""
        samples = list(self._inherited)
        for path in self._folder.glob("*.json"):
            if path != self._file(self.slot):
                samples += read_samples(path)
        return samples

    def _file(self, slot: int) -> Path:
        return self._folder / f"{slot}.json"


def read_samples(path: Path) -> list[StoredSample]:
    """Returns the samples in a file, or an empty list if the file cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[StoredSample])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("metrics of a process not read", file=path.name, reason=str(error))
        return []


def add_up_counters(samples: Iterable[StoredSample]) -> list[StoredSample]:
    """Returns the counters among `samples`. Samples with the same name and labels become one sample, their sum."""
    sums: dict[SampleKey, float] = {}
    for sample in samples:
        if sample.is_counter:
            key = sample.name, frozenset(sample.labels.items())
            sums[key] = sums.get(key, 0.0) + sample.value
    return [StoredSample(name, dict(labels), value, is_counter=True) for (name, labels), value in sums.items()]


def memory_size(slots: int) -> int:
    """Returns how many bytes of shared memory `slots` processes need."""
    return slots * (COUNT.size + ADDRESS_PLACES * ADDRESS_COUNT.size) + SECRET_BYTES


class AllProcessesCollector(Collector):
    """Collects metrics as totals over all processes. `own` holds the collectors of this process."""

    def __init__(self, own: Iterable[Collector], shared_counts: SharedCounts) -> None:
        self._own = list(own)
        self._shared_counts = shared_counts

    def collect_own(self) -> Iterator[Metric]:
        """Yields the metrics of this process alone."""
        for collector in self._own:
            yield from collector.collect()

    def collect(self) -> Iterator[Metric]:
        others: dict[SampleKey, list[float]] = {}
        for stored in self._shared_counts.load_other_metrics():
            others.setdefault((stored.name, frozenset(stored.labels.items())), []).append(stored.value)
        for family in self.collect_own():
            # These samples are times of creation, whose sum has no meaning.
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            for position, sample in enumerate(family.samples):
                values = others.pop((sample.name, frozenset(sample.labels.items())), [])
                family.samples[position] = Sample(sample.name, sample.labels, _total(sample, values))
            self._add_missing_samples(family, others)
            yield family

    @staticmethod
    def _add_missing_samples(family: Metric, others: dict[SampleKey, list[float]]) -> None:
        """Moves the samples that only other processes have from `others` to `family`.

        `others` is a dict from sample to the sample's values in the other processes.
        """
        names = {family.name + ending for ending in ("", "_total", "_bucket", "_count", "_sum")}
        for key in [key for key in others if key[0] in names]:
            values = others.pop(key)
            family.samples.append(Sample(key[0], dict(key[1]), sum(values)))


class LabelledCollector(Collector):
    """Adds a label to all samples of another collector, so that samples of several processes are told apart."""

    def __init__(self, collector: Collector, label: str, value: str) -> None:
        self._collector = collector
        self._label = {label: value}

    def collect(self) -> Iterator[Metric]:
        for family in self._collector.collect():
            family.samples = [Sample(each.name, each.labels | self._label, each.value) for each in family.samples]
            yield family


def _total(sample: Sample, other_values: list[float]) -> float:
    values = [sample.value, *other_values]
    if sample.name in MINIMUM_GAUGES:
        return min(values)
    return max(values) if sample.name.endswith(MAXIMUM_ENDINGS) else sum(values)
