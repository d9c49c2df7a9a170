"""The processor's loop: one thread reads Kafka and keeps the ledger, workers write to Redis.

It reads no settings and no arguments. Only the reading thread touches the source and the ledger; workers get parts
through their inboxes and hand them back through one queue.
"""

import threading
import time
from collections.abc import Callable, Collection
from queue import Empty, SimpleQueue
from random import Random

import structlog

from feeds import metrics
from feeds.errors import BadRecord, BrokerUnavailable, StoreUnavailable
from feeds.inflight import Ledger, Span
from feeds.kafka.source import Source
from feeds.outage import Backoff, Outage
from feeds.processor import Batch, Quote, Record, sort
from feeds.store import Store

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Updates in one write, about: Redis serves nobody else meanwhile, 2 us an update."""

FULL = 2_000
"""Updates with one worker at which reading waits; below a quarter of it paused partitions flow again."""

PATIENCE = 0.2
"""Seconds that reading waits for room before partitions are paused: pausing throws away what was fetched ahead."""

DRAIN = 4.0
"""Seconds that unfinished writes get on a rebalance and at the end."""


class Part:
    """One worker's share of a span."""

    __slots__ = ("quotes", "span")

    def __init__(self, span: Span, quotes: list[Quote]) -> None:
        self.span = span
        self.quotes = quotes


class Worker(threading.Thread):
    """Writes the parts of its inbox in their order, many at once, and hands back those that are in Redis.

    A part that cannot be written is tried until it can, until its partition is somebody else's, or until `abandon`.
    """

    def __init__(
        self, number: int, store: Store, finished: "SimpleQueue[tuple[int, list[Part]]]", outage: Outage, chance: Random
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
            batch = Batch(part.quotes for part in parts if not part.span.fenced)
            if not batch.size:
                return True
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
            metrics.WRITTEN.inc(written)
            metrics.STALE.inc(batch.size - written)
            metrics.BATCH.observe(batch.size)
            metrics.AGE.observe(max(time.time() - batch.oldest / 1e6, 0.0))
            return True


class Processing:
    """Reads, gives out, settles, until it is told to stop. `open_store` makes a store for each worker."""

    def __init__(
        self,
        source: Source,
        open_store: Callable[[], Store],
        workers: int,
        topic: str = "",
        chance: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._topic = topic
        self._clock = clock
        self._ledger = Ledger()
        self._finished: SimpleQueue[tuple[int, list[Part]]] = SimpleQueue()
        self._redis = Outage("Redis")
        self._chance = chance or Random()  # noqa: S311
        self._workers = [
            Worker(number, open_store(), self._finished, self._redis, self._chance) for number in range(workers)
        ]
        self._held = [0] * workers
        self._paused = False

    @property
    def failed(self) -> bool:
        """Whether an error of ours has ended a worker, and with it the loop."""
        return any(worker.failed for worker in self._workers)

    def run(self, stop: threading.Event) -> bool:
        """Works until `stop`, then finishes what was read, commits and leaves the group.

        Returns whether all that was read is in Redis; what is not will be read again. Raises GroupRefused.
        """
        if not self._join(stop):
            return True
        for worker in self._workers:
            worker.start()
        try:
            while not (stop.is_set() or self.failed):
                self._turn()
        finally:
            done = self._finish()
        return done

    def _join(self, stop: threading.Event) -> bool:
        """Tries until the group can be joined. False when the stop came first."""
        backoff = Backoff(self._chance, most=1.0)
        while not stop.is_set():
            try:
                self._source.open(self._revoked, self._lost, stop.wait)
            except BrokerUnavailable as error:
                self._source.outage.begin(error)
                stop.wait(backoff())
            else:
                self._source.outage.end()
                return True
        return False

    def _turn(self) -> None:
        records = self._source.read()
        if records:
            self._give(records)
            if self._paused:
                self._source.pause()  # a rebalance has brought partitions that nobody paused
        self._settle()
        self._balance()

    def _give(self, records: Collection[Record]) -> None:
        """Enters records into the ledger and hands them to the workers of their symbols."""
        metrics.READ.inc(len(records))
        for partition, share in sort(records, len(self._workers)).items():
            for offset, error in share.bad:
                self._set_aside(partition, offset, error)
            given = [(number, quotes) for number, quotes in enumerate(share.shares) if quotes]
            span = self._ledger.open(partition, share.next_offset, len(given))
            for number, quotes in given:
                self._held[number] += len(quotes)
                self._workers[number].inbox.put(Part(span, quotes))

    def _set_aside(self, partition: int, offset: int, error: BadRecord) -> None:
        metrics.ASIDE.labels(error.kind).inc()
        log.warning("record set aside", topic=self._topic, partition=partition, offset=offset, reason=str(error))

    def _settle(self, wait: float = 0.0) -> None:
        """Takes back what workers have finished, waiting for the first at most so long, and stores the offsets."""
        try:
            while True:
                number, parts = self._finished.get(timeout=wait) if wait else self._finished.get_nowait()
                wait = 0.0
                for part in parts:
                    self._held[number] -= len(part.quotes)
                    self._ledger.close(part.span)
        except Empty:
            pass
        if moved := self._ledger.advance():
            self._source.store(moved)

    def _balance(self) -> None:
        """Holds reading while a worker is full: shortly by waiting, then by pausing, so that the group is served."""
        if self._paused:
            if max(self._held) < FULL / 4:
                self._source.resume()
                self._paused = False
            return
        deadline = self._clock() + PATIENCE
        while max(self._held) >= FULL:
            if self._clock() >= deadline:
                self._source.pause()
                self._paused = True
                metrics.PAUSED.inc()
                return
            self._settle(wait=0.02)

    def _drain(self, partitions: Collection[int] | None = None) -> bool:
        """Waits for the workers to finish these partitions, or all; not for long. Whether they did."""
        deadline = self._clock() + DRAIN
        while self._ledger.pending(partitions) and self._clock() < deadline:
            self._settle(wait=0.02)
        self._settle()
        return not self._ledger.pending(partitions)

    def _revoked(self, partitions: Collection[int]) -> None:
        """Another member gets these partitions next: finish, commit, and then write nothing more for them."""
        if not self._drain(partitions):
            log.warning("partitions left with unfinished writes, their next owner repeats them", partitions=partitions)
        self._source.commit()
        self._ledger.fence(partitions)

    def _lost(self, partitions: Collection[int]) -> None:
        """Another member has them already: nothing of them may be written or committed."""
        self._ledger.fence(partitions)

    def _finish(self) -> bool:
        done = self._drain()
        for worker in self._workers:
            worker.abandon.set()
            worker.inbox.put(None)
        left = self._ledger.pending()
        self._ledger.fence()
        self._source.leave()
        for worker in self._workers:
            worker.join(1.0)
        if not done:
            log.warning(
                "stopped with unfinished writes: they are not committed and will be read again", unfinished=left
            )
        return done
