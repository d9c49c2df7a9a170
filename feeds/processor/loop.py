"""Runs the processor: one thread reads Kafka, workers write to Redis.

Only the reading thread uses the consumer, the dead letter topic and the ledger of unfinished records. Workers get tasks
through their inboxes. All workers return finished tasks through one queue.
"""

import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from random import Random

import structlog

from feeds import metrics
from feeds.dead_letters import make_dead_letter
from feeds.errors import BadRecord
from feeds.kafka.consumer import UpdateConsumer
from feeds.kafka.dead_letter_topic import DeadLetterTopic
from feeds.processor.node_routing import NodeRouting
from feeds.processor.offset_ledger import OffsetLedger, PartitionRead
from feeds.processor.partitions import split_records
from feeds.processor.worker import WriteTask
from feeds.processor.worker_pool import POLL_SECONDS, WorkerPool
from feeds.program_health import heartbeat
from feeds.records import Record
from feeds.retry import retry
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import latest_timestamp

log = structlog.get_logger(__name__)

MAX_PENDING_UPDATES = 2_000
"""Reading stops when a worker has this many unwritten updates."""

MAX_PENDING_DEAD_LETTERS = 500
"""Reading stops when this many dead letters are not acknowledged."""

# A pause discards the records that the client has fetched ahead.
PAUSE_AFTER_SECONDS = 0.2
"""How long the reading thread waits for fewer pending updates and dead letters, before it pauses the partitions."""


DRAIN_SECONDS = 3.0
"""The time limit for unfinished writes when partitions are revoked or the processor ends."""

# `runstack` kills the process after five seconds.
STOP_SECONDS = 4.0
"""The time limit for stopping the processor."""

STALLED_AFTER_SECONDS = 30.0
"""A worker is logged as stalled if it has pending updates and finishes nothing for longer than this."""

CHECK_SECONDS = 1.0
MAX_LOGGED_RECORDS = 10
"""How many invalid records are logged one by one in each CHECK_SECONDS."""


class Processor:
    """Reads updates, writes them to Redis, and stores the offsets of finished records.

    A record is finished when its update is in Redis, or when its dead letter is acknowledged. `open_writer` returns a
    new writer for each worker. `routing` chooses the worker of each symbol in a Redis Cluster; None without a cluster.
    `clock` returns monotonic seconds, `now` unix seconds.
    """

    def __init__(
        self,
        consumer: UpdateConsumer,
        dead_letters: DeadLetterTopic,
        open_writer: Callable[[], QuoteWriter],
        workers: int,
        topic: str = "",
        rng: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        routing: NodeRouting | None = None,
    ) -> None:
        self._consumer = consumer
        self._dead_letters = dead_letters
        self._topic = topic
        self._clock = clock
        self._now = now
        self._ledger = OffsetLedger()
        self._rng = rng or Random()  # noqa: S311
        self._pool = WorkerPool(open_writer, workers, self._rng, clock, routing)
        self._progress = self._pool.progress
        self._paused = False
        self._checked_at = 0.0
        self._invalid_records = 0
        self._stop = threading.Event()

    @property
    def failed(self) -> bool:
        """Whether a bug has ended a worker. The processor then ends too."""
        return self._pool.failed

    def run(self, stop: threading.Event) -> bool:
        """Processes records until `stop` is set, or until the consumer is drained.

        A consumer is drained if it reads only the existing records and has read all of them. A bug in a worker also
        ends this method, see `failed`. Returns whether all records that were read are finished. Raises
        DeadLetterTopicRefused, GroupRefused and TopicRefused.
        """
        self._stop = stop
        if not self._join():
            return True
        self._dead_letters.prepare(stop.wait)
        self._pool.start()
        try:
            while not (stop.is_set() or self.failed or self._dead_letters.failure or self._consumer.drained):
                self._turn()
        finally:
            finished = self._finish()
        self._dead_letters.check()
        if self._consumer.drained and finished:
            log.info("all existing records processed", topic=self._topic)
        return finished

    def _join(self) -> bool:
        """Joins the consumer group, with retries until `stop` is set. Returns whether the group was joined."""
        join = partial(self._consumer.open, self._on_revoke, self._on_lost, self._stop.wait)
        return retry(join, self._consumer.outage, self._stop, self._rng)

    def _turn(self) -> None:
        heartbeat.beat()
        records = self._consumer.read()
        if records:
            self._dispatch(records)
            if self._paused:
                self._consumer.pause()  # a rebalance may have added partitions that are not paused
        self._collect()
        self._limit_pending()
        if self._clock() >= self._checked_at + CHECK_SECONDS:
            self._check()

    def _dispatch(self, records: Collection[Record]) -> None:
        """Adds records to the ledger. Gives valid records to workers, and queues dead letters for invalid records."""
        metrics.READ.inc(len(records))
        latest = latest_timestamp(int(self._now() * 1_000_000))
        for number, partition in split_records(records, self._pool.count, latest, self._pool.choose).items():
            assigned = [(worker, updates) for worker, updates in enumerate(partition.by_worker) if updates]
            read = self._ledger.open(number, partition.next_offset, len(assigned) + len(partition.invalid))
            for record, error in partition.invalid:
                self._send_dead_letter(read, record, error)
            for worker, updates in assigned:
                self._pool.assign(worker, WriteTask(read, updates, partition.produced_ms, number))

    def _send_dead_letter(self, read: PartitionRead, record: Record, error: BadRecord) -> None:
        """Queues a dead letter for an invalid record of `read`.

        When the brokers acknowledge the dead letter, one part of `read` is finished.
        """
        dead_letter = make_dead_letter(record, self._topic, error, self._now())
        self._dead_letters.send(dead_letter, partial(self._finish_dead_letter, read, error.kind), self._stop.wait)
        self._invalid_records += 1
        if self._invalid_records <= MAX_LOGGED_RECORDS:
            topic, partition, offset = dead_letter.origin
            log.warning("invalid record", topic=topic, partition=partition, offset=offset, reason=str(error))

    def _finish_dead_letter(self, read: PartitionRead, kind: str) -> None:
        self._ledger.finish_part(read)
        metrics.DEAD_LETTERS.labels(kind).inc()

    def _collect(self, wait: float = 0.0) -> None:
        """Takes finished tasks from the workers and stores the offsets of finished records.

        Waits up to `wait` seconds for the first task.
        """
        self._dead_letters.poll()
        self._pool.collect(self._ledger, wait)
        if offsets := self._ledger.advance():
            self._consumer.store(offsets)

    def _limit_pending(self) -> None:
        """Waits while too many updates or dead letters are pending.

        If too many are still pending after PAUSE_AFTER_SECONDS, pauses the partitions. A later call resumes the
        partitions when few updates and dead letters are pending.
        """
        if self._paused:
            if not self._has_pending(MAX_PENDING_UPDATES // 4, MAX_PENDING_DEAD_LETTERS // 4):
                self._consumer.resume()
                self._paused = False
            return
        deadline = self._clock() + PAUSE_AFTER_SECONDS
        while self._has_pending(MAX_PENDING_UPDATES, MAX_PENDING_DEAD_LETTERS):
            if self._clock() >= deadline:
                self._consumer.pause()
                self._paused = True
                metrics.PAUSES.inc()
                return
            self._collect(wait=POLL_SECONDS)

    def _has_pending(self, updates: int, dead_letters: int) -> bool:
        """Returns whether one of two limits is reached.

        `updates` limits the pending updates of each worker. `dead_letters` limits the pending dead letters.
        """
        return self._pool.max_pending >= updates or self._dead_letters.pending >= dead_letters

    def _check(self) -> None:
        """Logs stalled workers, and how many invalid records were not logged one by one.

        Also adapts the workers to changes of the Redis Cluster.
        """
        self._checked_at = self._clock()
        self._pool.check(STALLED_AFTER_SECONDS)
        self._pool.reroute(self._collect)
        if self._invalid_records > MAX_LOGGED_RECORDS:
            count = self._invalid_records - MAX_LOGGED_RECORDS
            log.warning("more invalid records, see `manage.py deadletters list`", count=count)
        self._invalid_records = 0

    def _drain(self, partitions: Collection[int] | None = None) -> bool:
        """Waits up to DRAIN_SECONDS until the records of partitions are finished. None stands for all partitions.

        Returns whether all these records are finished.
        """
        deadline = self._clock() + DRAIN_SECONDS
        while self._ledger.pending(partitions) and self._clock() < deadline:
            if self._dead_letters.failure and not self._progress.max_pending:
                break  # only dead letters are left, and they will not be acknowledged
            self._collect(wait=POLL_SECONDS)
        self._collect()
        return not self._ledger.pending(partitions)

    def _on_revoke(self, partitions: Collection[int]) -> None:
        """Finishes and commits the records of partitions that another member of the group gets next.

        Waits up to DRAIN_SECONDS. The other member reads unfinished records again.
        """
        if not self._drain(partitions):
            log.warning("partitions revoked with unfinished writes, the next owner repeats them", partitions=partitions)
        self._consumer.commit()
        self._ledger.fence(partitions)

    def _on_lost(self, partitions: Collection[int]) -> None:
        """Stops workers from starting writes for partitions that another member owns already."""
        self._ledger.fence(partitions)

    def _finish(self) -> bool:
        started = self._clock()
        finished = self._drain()
        self._pool.stop()
        unfinished = self._ledger.pending()
        self._ledger.fence()
        self._dead_letters.close()
        self._consumer.leave(max(started + STOP_SECONDS - self._clock(), 1.0))
        self._pool.join(started + STOP_SECONDS)
        if not finished:
            log.warning("stopped with unfinished records, they will be read again", reads=unfinished)
        return finished
