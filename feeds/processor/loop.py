"""The processor's loop: one thread reads Kafka and keeps the ledger, workers write to Redis.

It reads no settings and no arguments. Only the reading thread touches the source, the dead letters and the ledger;
workers get parts through their inboxes and hand them back through one queue.
"""

import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from queue import Empty, SimpleQueue
from random import Random

import structlog

from feeds import metrics
from feeds.dead_letters import make_dead_letter
from feeds.errors import BadRecord, BrokerUnavailable
from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.dead_letter_topic import DeadLetterTopic
from feeds.processor.batch import sort
from feeds.processor.offset_ledger import OffsetLedger, ReadSpan, WorkerLoads
from feeds.processor.worker import Part, Worker
from feeds.records import Record
from feeds.retry import Backoff, Outage
from feeds.store.quote_writer import QuoteWriter

log = structlog.get_logger(__name__)

FULL = 2_000
"""Updates with one worker at which reading waits; below a quarter of it paused partitions flow again."""

LETTERS = 500
"""Dead letters without acknowledgement at which reading waits, in the same way. Each has 64 KB at most."""

PATIENCE = 0.2
"""Seconds that reading waits for room before partitions are paused: pausing throws away what was fetched ahead."""

DRAIN = 3.0
"""Seconds that unfinished writes get on a rebalance and at the end."""

END = 4.0
"""Seconds that the end takes at most: runstack kills after five."""

HELD = 30.0
"""Seconds after which a worker that has given nothing back is reported. It keeps its updates, and we our partitions."""

LOOK_EVERY = 1.0
LINES = 10
"""Bad records that have a line of the log to themselves, each second; the others are only counted."""


class Processor:
    """Reads, gives out, settles, until it is told to stop. `open_store` makes a store for each worker.

    `clock` gives seconds of any kind, `now` unix seconds.
    """

    def __init__(
        self,
        source: UpdateConsumer,
        letters: DeadLetterTopic,
        open_store: Callable[[], QuoteWriter],
        workers: int,
        topic: str = "",
        chance: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._letters = letters
        self._topic = topic
        self._clock = clock
        self._now = now
        self._ledger = OffsetLedger()
        self._loads = WorkerLoads(workers)
        self._finished: SimpleQueue[tuple[int, list[Part]]] = SimpleQueue()
        self._redis = Outage("Redis")
        self._chance = chance or Random()  # noqa: S311
        self._workers = [
            Worker(number, open_store(), self._finished, self._redis, self._chance) for number in range(workers)
        ]
        self._paused = False
        self._held: set[int] = set()
        self._looked = 0.0
        self._aside = 0
        self._stop = threading.Event()

    @property
    def failed(self) -> bool:
        """Whether an error of ours has ended a worker, and with it the loop."""
        return any(worker.failed for worker in self._workers)

    def run(self, stop: threading.Event) -> bool:
        """Works until `stop`, or until the source is drained; then finishes what was read, commits, leaves the group.

        Returns whether all that was read is done; what is not will be read again. Raises GroupRefused, and
        LettersRefused where a bad record cannot be put aside.
        """
        self._stop = stop
        if not self._join():
            return True
        self._letters.prepare(stop.wait)
        for worker in self._workers:
            worker.start()
        try:
            while not (stop.is_set() or self.failed or self._letters.refusal or self._source.drained):
                self._turn()
        finally:
            done = self._finish()
        self._letters.check()
        if self._source.drained and done:
            log.info("all is done that was there at the start", topic=self._topic)
        return done

    def _join(self) -> bool:
        """Tries until the group can be joined. False when the stop came first."""
        backoff = Backoff(self._chance, most=1.0)
        while not self._stop.is_set():
            try:
                self._source.open(self._revoked, self._lost, self._stop.wait)
            except BrokerUnavailable as error:
                self._source.outage.begin(error)
                self._stop.wait(backoff())
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
        if self._clock() >= self._looked + LOOK_EVERY:
            self._look()

    def _give(self, records: Collection[Record]) -> None:
        """Enters records into the ledger and hands them to the workers of their symbols, or to the dead letters."""
        metrics.READ.inc(len(records))
        now = self._clock()
        for partition, share in sort(records, len(self._workers)).items():
            given = [(number, quotes) for number, quotes in enumerate(share.shares) if quotes]
            span = self._ledger.open(partition, share.next_offset, len(given) + len(share.bad))
            for record, error in share.bad:
                self._put_aside(span, record, error)
            for number, quotes in given:
                self._loads.give(number, len(quotes), now)
                self._workers[number].inbox.put(Part(span, quotes, share.produced))

    def _put_aside(self, span: ReadSpan, record: Record, error: BadRecord) -> None:
        """Sends a bad record to the dead letters; its span is done when that is acknowledged, and not before."""
        letter = make_dead_letter(record, self._topic, error, self._now())
        self._letters.send(letter, partial(self._settle_letter, span, error.kind), self._stop.wait)
        self._aside += 1
        if self._aside <= LINES:
            topic, partition, offset = letter.origin
            log.warning("record set aside", topic=topic, partition=partition, offset=offset, reason=str(error))

    def _settle_letter(self, span: ReadSpan, kind: str) -> None:
        self._ledger.close(span)
        metrics.LETTERS.labels(kind).inc()

    def _settle(self, wait: float = 0.0) -> None:
        """Takes back what is finished, waiting for the first worker at most so long, and stores the offsets."""
        self._letters.serve()
        try:
            while True:
                number, parts = self._finished.get(timeout=wait) if wait else self._finished.get_nowait()
                wait = 0.0
                for part in parts:
                    self._loads.take(number, len(part.quotes), self._clock())
                    self._ledger.close(part.span)
        except Empty:
            pass
        if moved := self._ledger.advance():
            self._source.store(moved)

    def _balance(self) -> None:
        """Holds reading while there is too much in hand: shortly by waiting, then by pausing: the group is served."""
        if self._paused:
            if not self._has(FULL // 4, LETTERS // 4):
                self._source.resume()
                self._paused = False
            return
        deadline = self._clock() + PATIENCE
        while self._has(FULL, LETTERS):
            if self._clock() >= deadline:
                self._source.pause()
                self._paused = True
                metrics.PAUSED.inc()
                return
            self._settle(wait=0.02)

    def _has(self, updates: int, letters: int) -> bool:
        """Whether a worker has so many updates, or so many letters are not acknowledged."""
        return self._loads.greatest >= updates or self._letters.pending >= letters

    def _look(self) -> None:
        """Once a second: says which workers are held, and how much was set aside beyond what has lines of its own."""
        self._looked = self._clock()
        held = self._loads.held(HELD, self._looked)
        metrics.WORKERS_HELD.set(len(held))
        for number in sorted(held.keys() - self._held):
            log.warning(
                f"a worker has had the same updates for more than {HELD:g} s; the partitions stay ours",
                worker=number,
                updates=held[number],
            )
        for number in sorted(self._held - held.keys()):
            log.info("a worker that was held goes on", worker=number)
        self._held = set(held)
        if self._aside > LINES:
            log.warning("more records set aside, see `manage.py deadletters list`", count=self._aside - LINES)
        self._aside = 0

    def _drain(self, partitions: Collection[int] | None = None) -> bool:
        """Waits for these partitions, or all, to be finished; not for long. Whether they are."""
        deadline = self._clock() + DRAIN
        while self._ledger.pending(partitions) and self._clock() < deadline:
            if self._letters.refusal and not self._loads.greatest:
                break  # all that is left waits for a letter that will not be acknowledged
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
        begun = self._clock()
        done = self._drain()
        for worker in self._workers:
            worker.abandon.set()
            worker.inbox.put(None)
        left = self._ledger.pending()
        self._ledger.fence()
        self._letters.close()
        self._source.leave(max(begun + END - self._clock(), 1.0))
        for worker in self._workers:
            worker.join(max(begun + END - self._clock(), 0.0))
        if not done:
            log.warning("stopped with unfinished work: it is not committed and will be read again", unfinished=left)
        return done
