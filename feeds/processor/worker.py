"""One of the processor's workers: a thread that writes what it is given to Redis, in its order.

It touches neither Kafka nor the ledger: what is done goes back through a queue.
"""

import threading
import time
from queue import Empty, SimpleQueue
from random import Random

import structlog

from feeds import metrics
from feeds.errors import StoreUnavailable
from feeds.processor.batch import Batch, UpdateBytes
from feeds.processor.offset_ledger import ReadSpan
from feeds.retry import Backoff, Outage
from feeds.store.quote_writer import QuoteWriter

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Updates in one write, about: Redis serves nobody else meanwhile, 2 us an update."""


class Part:
    """One worker's share of a span. `produced` in unix milliseconds, when the first of the span was."""

    __slots__ = ("produced", "quotes", "span")

    def __init__(self, span: ReadSpan, quotes: list[UpdateBytes], produced: int) -> None:
        self.span = span
        self.quotes = quotes
        self.produced = produced


class Worker(threading.Thread):
    """Writes the parts of its inbox in their order, many at once, and hands back those that are in Redis.

    A part that cannot be written is tried until it can, until its partition is somebody else's, or until `abandon`.
    """

    def __init__(
        self,
        number: int,
        store: QuoteWriter,
        finished: "SimpleQueue[tuple[int, list[Part]]]",
        outage: Outage,
        chance: Random,
    ) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self.number = number
        self.inbox: SimpleQueue[Part | None] = SimpleQueue()
        self.abandon = threading.Event()
        self.failed = False
        self._store = store
        self._finished = finished
        self._outage = outage
        self._backoff = Backoff(chance)

    def run(self) -> None:
        try:
            while (parts := self._take()) and self._write(parts):
                self._finished.put((self.number, parts))
        except Exception:
            # An error of ours: the records stay uncommitted, and the reading thread ends the process.
            log.exception("a worker failed", worker=self.number)
            self.failed = True
        finally:
            self._store.close()

    def _take(self) -> list[Part]:
        """Waits for a part and takes what else there is, up to about one write. Empty at the end."""
        if (part := self.inbox.get()) is None:
            return []
        parts, size = [part], len(part.quotes)
        while size < AT_ONCE:
            try:
                part = self.inbox.get_nowait()
            except Empty:
                break
            if part is None:
                self.inbox.put(None)  # the end comes after what was taken
                break
            parts.append(part)
            size += len(part.quotes)
        return parts

    def _write(self, parts: list[Part]) -> bool:
        """False when it was told to give up."""
        while True:
            mine = [part for part in parts if not part.span.fenced]
            if not mine:
                return True
            batch = Batch(part.quotes for part in mine)
            try:
                written = self._store.write(batch)
            except StoreUnavailable as error:
                self._outage.begin(error)
                metrics.RETRIES.inc()
                if self.abandon.wait(self._backoff()):
                    return False
                continue
            self._outage.end()
            self._backoff.reset()
            self._count(batch, written, min(part.produced for part in mine))
            return True

    def _count(self, batch: Batch, written: int, produced: int) -> None:
        now = time.time()
        metrics.WRITTEN.inc(written)
        metrics.STALE.inc(batch.size - written)
        metrics.BATCH.observe(batch.size)
        metrics.AGE.observe(max(now - batch.oldest / 1e6, 0.0))
        metrics.DELAY.observe(max(now - produced / 1e3, 0.0))
