"""Runs a worker of the processor: a thread that writes updates to Redis in order.

The thread uses neither Kafka nor the offset ledger. Finished tasks go back to the reading thread through a queue.
"""

import threading
import time
from queue import Empty, SimpleQueue
from random import Random

import structlog

from feeds import metrics
from feeds.errors import StoreUnavailable
from feeds.processor.offset_ledger import PartitionRead
from feeds.retry import Backoff, Outage
from feeds.stale import is_newer
from feeds.store.batch import Batch, EncodedUpdate
from feeds.store.quote_writer import QuoteWriter

log = structlog.get_logger(__name__)

# Each update blocks Redis for 2 us.
MAX_BATCH_UPDATES = 500
"""A worker adds tasks to a write until the write has this many updates."""


MAX_MERGED_UPDATES = 5_000
"""How many updates of a partition are kept while a node of a cluster does not answer.

If there are more updates, only the newest update of each symbol is kept.
"""
MERGE_SECONDS = 0.05


class WriteTask:
    """Updates that one worker must write. The updates come from one read of one partition.

    `read` is this read in the offset ledger. `produced_ms` is the time at which the first of its records was produced,
    in unix milliseconds. `size` is the number of updates before other tasks were merged into this task.
    """

    __slots__ = ("partition", "produced_ms", "read", "size", "updates")

    def __init__(self, read: PartitionRead, updates: list[EncodedUpdate], produced_ms: int, partition: int = 0) -> None:
        self.read = read
        self.updates = updates
        self.produced_ms = produced_ms
        self.partition = partition
        self.size = len(updates)

    def merge(self, later: "WriteTask") -> None:
        """Adds the updates of a later task of the same partition.

        If there are more than MAX_MERGED_UPDATES updates, only the newest update of each symbol is kept.
        """
        self.updates = [*self.updates, *later.updates]
        if len(self.updates) > MAX_MERGED_UPDATES:
            newest: dict[str, EncodedUpdate] = {}
            for update, value in self.updates:
                known = newest.get(update.symbol)
                if known is None or is_newer(update, known[0]):
                    newest[update.symbol] = update, value
            metrics.MERGED.inc(len(self.updates) - len(newest))
            self.updates = list(newest.values())


class Worker(threading.Thread):
    """A thread that writes the tasks in its inbox to Redis, in order.

    After a write, the tasks are put into the queue `finished`. A failed write is repeated until `abandon` is set, or
    until another member of the group owns the partitions. `failed` says whether a bug has ended the worker. `blocked`
    says whether the last write failed. If `merges` is true, the worker combines tasks of the same partition while its
    writes fail.
    """

    def __init__(
        self,
        number: int,
        writer: QuoteWriter,
        finished: "SimpleQueue[tuple[int, list[WriteTask]]]",
        outage: Outage,
        rng: Random,
        merges: bool = False,
    ) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self.number = number
        self.inbox: SimpleQueue[WriteTask | None] = SimpleQueue()
        self.abandon = threading.Event()
        self.failed = False
        self.blocked = False
        self._merges = merges
        self._writer = writer
        self._finished = finished
        self._outage = outage
        self._backoff = Backoff(rng)

    def run(self) -> None:
        try:
            while (tasks := self._take_tasks()) and self._write(tasks):
                self._finished.put((self.number, tasks))
        except Exception:
            # A bug: the records stay uncommitted, and the reading thread ends the process.
            log.exception("worker failed", worker=self.number)
            self.failed = True
        finally:
            self._writer.close()

    def _take_tasks(self) -> list[WriteTask]:
        """Waits for a task, then takes further tasks up to MAX_BATCH_UPDATES updates.

        Returns an empty list if the worker must end.
        """
        if (task := self.inbox.get()) is None:
            return []
        tasks, size = [task], len(task.updates)
        while size < MAX_BATCH_UPDATES:
            try:
                task = self.inbox.get_nowait()
            except Empty:
                break
            if task is None:
                self.inbox.put(None)  # the next call ends the worker
                break
            tasks.append(task)
            size += len(task.updates)
        return tasks

    def _write(self, tasks: list[WriteTask]) -> bool:
        """Writes the tasks whose partition still belongs to this member of the group.

        Repeats a failed write until `abandon` is set. Returns False if `abandon` was set.
        """
        while True:
            owned = [task for task in tasks if not task.read.fenced]
            if not owned:
                return True
            batch = Batch(task.updates for task in owned)
            try:
                written = self._writer.write(batch)
            except StoreUnavailable as error:
                self.blocked = True
                self._outage.begin(error)
                metrics.WRITE_RETRIES.inc()
                if self._wait(tasks, self._backoff()):
                    return False
                continue
            self.blocked = False
            self._outage.end()
            self._backoff.reset()
            self._count(batch, written, min(task.produced_ms for task in owned))
            return True

    def _wait(self, tasks: list[WriteTask], seconds: float) -> bool:
        """Waits before the next attempt to write. Returns whether `abandon` was set."""
        if not self._merges:
            return self.abandon.wait(seconds)
        deadline = time.monotonic() + seconds
        while not self.abandon.wait(MERGE_SECONDS):
            self._merge_inbox(tasks)
            if time.monotonic() >= deadline:
                return False
        return True

    def _merge_inbox(self, tasks: list[WriteTask]) -> None:
        """Moves all tasks from the inbox to `tasks`. Merges tasks of the same partition."""
        first = {task.partition: task for task in reversed(tasks) if not task.read.fenced}
        while True:
            try:
                task = self.inbox.get_nowait()
            except Empty:
                return
            if task is None:
                self.inbox.put(None)  # the next call of `_take_tasks` ends the worker
                return
            earlier = first.get(task.partition)
            if earlier is None or earlier.read.fenced:
                tasks.append(task)
                first[task.partition] = task
            else:
                # No offset after an unfinished task is committed. A restarted process reads these updates again.
                earlier.merge(task)
                self._finished.put((self.number, [task]))

    def _count(self, batch: Batch, written: int, produced_ms: int) -> None:
        now = time.time()
        metrics.WRITTEN.inc(written)
        metrics.STALE.inc(batch.size - written)
        metrics.BATCH_SIZE.observe(batch.size)
        # A clock that is ahead of ours makes the age unknown, not 0.
        for histogram, seconds in (
            (metrics.UPDATE_AGE, now - batch.oldest_timestamp / 1e6),
            (metrics.DELAY, now - produced_ms / 1e3),
        ):
            if seconds >= 0:
                histogram.observe_batch(seconds, batch.size)
