"""A worker of a cluster whose node does not answer: later tasks are merged into the first of their partition."""

from collections.abc import Iterator
from queue import SimpleQueue
from random import Random

import pytest

from feeds.processor import worker as worker_module
from feeds.processor.offset_ledger import PartitionRead
from feeds.processor.worker import Worker, WriteTask
from feeds.retry import Outage
from feeds.wire import Update, encode
from tests.support.kafka.running_processor import UnavailableWriter
from tests.support.times import at
from tests.support.waiting import wait_until

Finished = list[WriteTask]


def make_task(partition: int, *numbers: int, symbol: str = "AAPL", fenced: bool = False) -> WriteTask:
    updates = [Update(symbol, 1.5, at(number), number) for number in numbers]
    read = PartitionRead(numbers[-1] + 1, 1)
    read.fenced = fenced
    return WriteTask(read, [(update, encode(update)) for update in updates], 0, partition)


class BlockedWorker:
    """A worker whose writes fail until `writer.available` is set."""

    def __init__(self) -> None:
        self.writer = UnavailableWriter()
        self.finished: SimpleQueue[tuple[int, list[WriteTask]]] = SimpleQueue()
        self.worker = Worker(0, self.writer, self.finished, Outage("node"), Random(1), merges=True)
        self.worker.start()

    def put(self, *tasks: WriteTask) -> None:
        for task in tasks:
            self.worker.inbox.put(task)

    def take(self) -> Finished:
        return self.finished.get(timeout=60)[1]


@pytest.fixture
def blocked() -> Iterator[BlockedWorker]:
    blocked = BlockedWorker()
    yield blocked
    blocked.worker.abandon.set()
    blocked.worker.inbox.put(None)
    blocked.worker.join(60)


def test_a_later_task_is_finished_at_once_and_written_with_the_first(blocked: BlockedWorker):
    first, later, other = make_task(0, 1), make_task(0, 2, 3), make_task(1, 1, symbol="GOOG")
    blocked.put(first)
    wait_until(lambda: blocked.worker.blocked)
    blocked.put(other, later)
    assert blocked.take() == [later]
    assert [update.seq_id for update, _ in first.updates] == [1, 2, 3]
    assert (first.size, later.size) == (1, 2)
    assert blocked.finished.empty()

    blocked.writer.available.set()
    assert blocked.take() == [first, other]
    assert blocked.writer.written == {"AAPL", "GOOG"}
    assert not blocked.worker.blocked


def test_a_task_is_not_merged_into_a_task_of_a_lost_partition(blocked: BlockedWorker):
    first = make_task(0, 1)
    blocked.put(first)
    wait_until(lambda: blocked.worker.blocked)
    first.read.fenced = True
    later = make_task(0, 2)
    blocked.put(later)
    blocked.writer.available.set()
    taken: Finished = []
    while later not in taken:
        taken += blocked.take()
    assert taken == [first, later]
    assert [update.seq_id for update, _ in first.updates] == [1]


def test_a_worker_ends_while_its_node_does_not_answer(blocked: BlockedWorker):
    blocked.put(make_task(0, 1))
    wait_until(lambda: blocked.worker.blocked)
    blocked.worker.inbox.put(None)
    blocked.worker.abandon.set()
    blocked.worker.join(60)
    assert not blocked.worker.is_alive()


@pytest.mark.parametrize(("limit", "expected"), [(3, [1, 2, 3]), (2, [3])])
def test_of_too_many_updates_the_newest_of_each_symbol_is_kept(
    monkeypatch: pytest.MonkeyPatch, limit: int, expected: list[int]
):
    monkeypatch.setattr(worker_module, "MAX_MERGED_UPDATES", limit)
    first = make_task(0, 1)
    first.merge(make_task(0, 3, 2))
    assert sorted(update.seq_id for update, _ in first.updates) == expected
