"""What the processes of one gateway know of each other: their open connections, and their metrics.

Connections stand in shared memory, a number a process; metrics in a folder, a file a process, written every second. The
numbers of a process that died stay in the counters, so that no sum ever falls.
"""

import mmap
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

SLOT = struct.Struct("<q")
LEAST = ("stockwatch_fast_path", "stockwatch_channel_layer_connected", "stockwatch_database_answers")
"""Gauges of which the worst process counts; of times the newest does, of all else the sum."""


class Kept(msgspec.Struct, frozen=True):
    """A sample as it lies in a file; `counter` tells what outlives its process."""

    name: str
    labels: dict[str, str]
    value: float
    counter: bool


class SharedCounts:
    """`slots` processes share it; `mine` is this one's number."""

    def __init__(self, memory: int, folder: str, slots: int, mine: int) -> None:
        self._slots = slots
        self._mine = mine
        self._numbers = mmap.mmap(memory, slots * SLOT.size)
        self._folder = Path(folder)
        if (mine_before := self._file(mine)).exists():
            mine_before.rename(mine_before.with_suffix(f".{os.getpid()}.gone"))

    @staticmethod
    def make_memory(slots: int) -> int:
        """A file descriptor of shared memory for so many processes."""
        if hasattr(os, "memfd_create"):
            memory = os.memfd_create("stockwatch-board", 0)
        else:
            memory, name = tempfile.mkstemp(prefix="stockwatch-board-")
            os.unlink(name)
        os.truncate(memory, slots * SLOT.size)
        return memory

    def note_connections(self, count: int) -> int:
        """Notes this process's connections; returns those of all the others."""
        SLOT.pack_into(self._numbers, self._mine * SLOT.size, count)
        numbers: list[int] = [SLOT.unpack_from(self._numbers, slot * SLOT.size)[0] for slot in range(self._slots)]
        return sum(numbers) - count

    def keep_metrics(self, families: Iterable[Metric]) -> None:
        """Leaves this process's samples for the others."""
        kept = [
            Kept(sample.name, dict(sample.labels), sample.value, family.type in {"counter", "histogram"})
            for family in families
            for sample in family.samples
            if sample.name.startswith("stockwatch_")
        ]
        scratch = self._file(self._mine).with_suffix(".new")
        scratch.write_bytes(msgspec.json.encode(kept))
        scratch.replace(self._file(self._mine))

    def others(self) -> list[Kept]:
        """The samples of the other processes, and the counters of those that are gone."""
        found: list[Kept] = []
        for path in self._folder.glob("*.json"):
            if path != self._file(self._mine):
                found += msgspec.json.decode(path.read_bytes(), type=list[Kept])
        for path in self._folder.glob("*.gone"):
            found += [kept for kept in msgspec.json.decode(path.read_bytes(), type=list[Kept]) if kept.counter]
        return found

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.json"


class AllProcessesCollector(Collector):
    """The collectors of this process, with what the other processes left added to each sample."""

    def __init__(self, own: Iterable[Collector], board: SharedCounts) -> None:
        self._own = list(own)
        self._board = board

    def collect_own(self) -> Iterator[Metric]:
        for collector in self._own:
            yield from collector.collect()

    def collect(self) -> Iterator[Metric]:
        others: dict[tuple[str, frozenset[tuple[str, str]]], list[float]] = {}
        for kept in self._board.others():
            others.setdefault((kept.name, frozenset(kept.labels.items())), []).append(kept.value)
        for family in self.collect_own():
            for position, sample in enumerate(family.samples):
                theirs = others.pop((sample.name, frozenset(sample.labels.items())), [])
                family.samples[position] = Sample(sample.name, sample.labels, _join(sample, theirs))
            self._adopt_strangers(family, others)
            yield family

    @staticmethod
    def _adopt_strangers(family: Metric, others: dict[tuple[str, frozenset[tuple[str, str]]], list[float]]) -> None:
        """Samples of this family with labels that only others have had, such as a reason that did not occur here."""
        for key in [key for key in others if key[0] in {family.name, f"{family.name}_total"}]:
            values = others.pop(key)
            family.samples.append(Sample(key[0], dict(key[1]), sum(values)))


def _join(sample: Sample, theirs: list[float]) -> float:
    values = [sample.value, *theirs]
    if sample.name in LEAST:
        return min(values)
    return max(values) if sample.name.endswith("_timestamp_seconds") else sum(values)
