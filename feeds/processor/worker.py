"""A worker of the processor: a thread that writes updates to Redis in their order.

It uses neither Kafka nor the ledger. Finished tasks go back through a queue.
"""

import threading
import time
from queue import Empty, SimpleQueue
from random import Random

import structlog

from feeds import metrics
from feeds.errors import StoreUnavailable
from feeds.processor.offset_ledger import ReadSpan
from feeds.retry import Backoff, Outage
from feeds.store.batch import Batch, EncodedUpdate
from feeds.store.quote_writer import QuoteWriter

log = structlog.get_logger(__name__)

MAX_BATCH_UPDATES = 500
"""Updates in one write, approximately. A write blocks Redis for 2 us per update."""


class WriteTask:
    """The updates of one span for one worker. `produced_ms`: when the span's first record was produced."""

    __slots__ = ("produced_ms", "span", "updates")

    def __init__(self, span: ReadSpan, updates: list[EncodedUpdate], produced_ms: int) -> None:
        self.span = span
        self.updates = updates
        self.produced_ms = produced_ms


class Worker(threading.Thread):
    """Writes the tasks of its inbox in their order, several at once, and returns those that are in Redis.

    It retries a write until it succeeds, until another member owns the partitions, or until `abandon` is set. None in
    the inbox ends the worker.
    """

    def __init__(
        self,
        number: int,
        writer: QuoteWriter,
        finished: "SimpleQueue[tuple[int, list[WriteTask]]]",
        outage: Outage,
        rng: Random,
    ) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self.number = number
        self.inbox: SimpleQueue[WriteTask | None] = SimpleQueue()
        self.abandon = threading.Event()
        self.failed = False
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
        """Waits for a task and takes more, up to about one write. Returns an empty list at the end."""
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
        """Writes tasks that are not fenced. Returns False if `abandon` was set first."""
        while True:
            owned = [task for task in tasks if not task.span.fenced]
            if not owned:
                return True
            batch = Batch(task.updates for task in owned)
            try:
                written = self._writer.write(batch)
            except StoreUnavailable as error:
                self._outage.begin(error)
                metrics.WRITE_RETRIES.inc()
                if self.abandon.wait(self._backoff()):
                    return False
                continue
            self._outage.end()
            self._backoff.reset()
            self._count(batch, written, min(task.produced_ms for task in owned))
            return True

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
                histogram.observe(seconds)
