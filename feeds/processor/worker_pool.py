"""Hands tasks to the workers of a processor, and takes finished tasks back.

Only the thread that reads Kafka calls the methods.
"""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from random import Random

import structlog

from feeds import metrics
from feeds.processor.node_routing import NodeRouting
from feeds.processor.offset_ledger import OffsetLedger, WorkerProgress
from feeds.processor.partitions import worker_chooser
from feeds.processor.worker import Worker, WriteTask
from feeds.retry import Outage
from feeds.store.quote_writer import QuoteWriter

log = structlog.get_logger(__name__)

LATE_AFTER_SECONDS = 0.1
LATE_SHARE = 50
"""Reading stops when a worker has too many pending updates. A late worker may have LATE_SHARE times as many.

A worker of a cluster is late if its last write failed, or if it has pending updates and has finished nothing for
LATE_AFTER_SECONDS.
"""

REROUTE_SECONDS = 1.0
"""How long `WorkerPool.reroute` waits for the workers that lose symbols."""
POLL_SECONDS = 0.02


class WorkerPool:
    """The workers of one processor.

    `routing` chooses the worker of each symbol in a cluster; None if there is only one Redis server.
    """

    def __init__(
        self,
        open_writer: Callable[[], QuoteWriter],
        workers: int,
        rng: Random,
        clock: Callable[[], float] = time.monotonic,
        routing: NodeRouting | None = None,
    ) -> None:
        self.count = workers
        self.progress = WorkerProgress(workers)
        self.choose = routing.choose if routing else worker_chooser(workers)
        self._routing = routing
        self._clock = clock
        self._finished: SimpleQueue[tuple[int, list[WriteTask]]] = SimpleQueue()
        self._stalled: set[int] = set()
        shared = Outage("Redis")
        self._workers = [
            Worker(
                number,
                open_writer(),
                self._finished,
                Outage(f"Redis node of worker {number}") if routing else shared,
                rng,
                merges=routing is not None,
            )
            for number in range(workers)
        ]

    @property
    def failed(self) -> bool:
        """Whether a bug has ended a worker."""
        return any(worker.failed for worker in self._workers)

    @property
    def max_pending(self) -> int:
        """The highest number of pending updates of any worker.

        In a cluster, the number of a late worker is divided by LATE_SHARE.
        """
        if self._routing is None:
            return self.progress.max_pending
        # If one node is down, reading continues for the symbols of the other nodes.
        late = self.progress.stalled(LATE_AFTER_SECONDS, self._clock())
        late |= {worker.number: 0 for worker in self._workers if worker.blocked}
        return self.progress.max_pending_except(late.keys(), LATE_SHARE)

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def assign(self, worker: int, task: WriteTask) -> None:
        self.progress.assign(worker, task.size, self._clock())
        self._workers[worker].inbox.put(task)

    def collect(self, ledger: OffsetLedger, wait: float = 0.0) -> None:
        """Takes the finished tasks from the workers, and reports them to the offset ledger.

        Waits up to `wait` seconds for the first task.
        """
        try:
            while True:
                worker, tasks = self._finished.get(timeout=wait) if wait else self._finished.get_nowait()
                wait = 0.0
                for task in tasks:
                    self.progress.complete(worker, task.size, self._clock())
                    ledger.finish_part(task.read)
        except Empty:
            pass

    def check(self, stalled_after: float) -> None:
        """Logs which workers have become stalled, and which have resumed.

        A worker is stalled if it has pending updates and has finished no update for more than `stalled_after` seconds.
        """
        stalled = self.progress.stalled(stalled_after, self._clock())
        metrics.STALLED_WORKERS.set(len(stalled))
        metrics.BLOCKED_WORKERS.set(sum(worker.blocked for worker in self._workers))
        for number in sorted(stalled.keys() - self._stalled):
            log.warning("worker stalled", worker=number, updates=stalled[number], seconds=stalled_after)
        for number in sorted(self._stalled - stalled.keys()):
            log.info("worker resumed", worker=number)
        self._stalled = set(stalled)

    def reroute(self, collect: Callable[[float], None]) -> None:
        """Changes the worker of each symbol that has moved to another node of the cluster.

        First waits until the workers that lose symbols have no pending updates. Calls `collect` while waiting. Changes
        nothing if the wait exceeds REROUTE_SECONDS, or if one of these workers cannot write.
        """
        if self._routing is None or not self._routing.has_changed:
            return
        losing = self._routing.plan()
        deadline = self._clock() + REROUTE_SECONDS
        while any(self.progress.pending(number) for number in losing):
            # Every symbol stays with its worker, which can write to any node.
            if self._clock() >= deadline or any(self._workers[number].blocked for number in losing):
                return
            collect(POLL_SECONDS)
        self._routing.apply()

    def stop(self) -> None:
        """Tells the workers to end after the current write."""
        for worker in self._workers:
            worker.abandon.set()
            worker.inbox.put(None)

    def join(self, deadline: float) -> None:
        for worker in self._workers:
            worker.join(max(deadline - self._clock(), 0.0))
