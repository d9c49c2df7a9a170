"""Runs the generator: in each interval, sends an update of each active ticker to Kafka.

A second thread reads the tickers and claims their symbols. A third thread renews these claims and the lease
of the topic.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from random import Random
from typing import Protocol

import msgspec
import structlog

from feeds import metrics
from feeds.errors import BrokerUnavailable, LeaseHeld, StoreUnavailable
from feeds.generator.claimed_tickers import ClaimedTickers
from feeds.generator.claims import Claims
from feeds.generator.steady_clock import JUMP_NS, SteadyClock
from feeds.kafka.producer import UpdateProducer
from feeds.program_health import heartbeat
from feeds.retry import Outage, retry
from feeds.sources.simulated import Instrument, PriceSimulator
from feeds.store.ownership import Ownership
from feeds.wire import Update, encode

log = structlog.get_logger(__name__)

READ_TICKERS_SECONDS = 0.5
RENEW_LEASE_SECONDS = 1.0
REPORT_SECONDS = 1.0

# The claims may have expired if the whole process was suspended.
STALL_SECONDS = 1.0
"""After a longer stall of the loop, the claims to symbols are renewed before the next update."""

FLUSH_SECONDS = 7.0
"""The time limit for sending the queued updates before the generator ends."""

FLUSH_SECONDS_IN_OUTAGE = 3.0
"""The value that replaces FLUSH_SECONDS while Kafka is unavailable."""

JOIN_SECONDS = 3.0
"""How long the generator waits at its end for the thread that renews the lease."""

MAX_POLL_PAUSE_SECONDS = 0.5
"""The longest pause between two polls of the producer. A poll handles delivery reports."""


class Lease(Protocol):
    """The right to feed the topic; `feeds.store.lease` implements this protocol."""

    def acquire(self, wait: Callable[[float], object]) -> None: ...
    def renew(self) -> None: ...
    def release(self) -> None: ...


class DeliveryTotals(msgspec.Struct, frozen=True):
    """How many updates Kafka acknowledged, and how many it did not acknowledge."""

    delivered: int
    undelivered: int


class GeneratorLoop:
    """Sends the updates of the simulator to one topic.

    `read_tickers` returns all simulated tickers, active or not. `read_last_updates` returns the last update of each
    symbol, and creates the topic if necessary. Both functions may raise TransientError. `interval` and the result of
    `clock` are in seconds. `now` returns unix nanoseconds.
    """

    def __init__(
        self,
        simulator: PriceSimulator,
        producer: UpdateProducer,
        lease: Lease,
        ownership: Ownership,
        read_tickers: Callable[[], list[Instrument]],
        read_last_updates: Callable[[Collection[str]], Mapping[str, Update]],
        interval: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._simulator = simulator
        self._producer = producer
        self._lease = lease
        self._interval = interval
        self._clock = clock
        self._now = SteadyClock(now, clock)
        self._lease_error: LeaseHeld | None = None
        self._redis = Outage("Redis")
        self._claims = Claims(ownership, read_last_updates)
        self._tickers = ClaimedTickers(read_tickers, self._claims, simulator, producer, self._redis)
        self._lease_thread: threading.Thread | None = None
        self._alive_at = 0.0
        self._missed_intervals = 0
        self._unsent = 0
        self._counted = 0

    def run(self, stop: threading.Event) -> DeliveryTotals:
        """Feeds the topic until `stop` is set, then sends the queued updates. Raises LeaseHeld and TopicRefused."""
        try:
            if self._acquire_lease(stop):
                self._lease_thread = self._start_thread("lease", stop, RENEW_LEASE_SECONDS, self._renew)
                if self._prepare(stop):
                    self._start_thread("tickers", stop, READ_TICKERS_SECONDS, self._tickers.refresh)
                    self._make_steps(stop)
        finally:
            stop.set()  # ends the threads after an error too
            totals = self._finish()
        if self._lease_error is not None:
            raise self._lease_error
        return totals

    def _acquire_lease(self, stop: threading.Event) -> bool:
        """Takes the lease of the topic, with retries until `stop` is set. Returns whether the lease was taken."""
        acquire = partial(self._lease.acquire, stop.wait)
        return retry(acquire, self._redis, stop, Random(), "; waiting for the lease")  # noqa: S311

    def _prepare(self, stop: threading.Event) -> bool:
        """Starts the producer, and prepares the tickers. Returns False if `stop` was set first."""
        # Starts the producer, which needs half a second to get its producer id.
        self._producer.poll()
        if not self._tickers.prepare(stop):
            return False
        log.info("generator ready", **self._tickers.counts, interval_s=self._interval)
        self._warn_of_clock_behind()
        return True

    def _warn_of_clock_behind(self) -> None:
        """Logs a warning if the topic has timestamps that the system clock has not reached."""
        timestamps = [grant.last.timestamp for grant in self._claims.grants.values() if grant.last is not None]
        behind = max(timestamps, default=0) * 1000 - self._now()
        if behind > JUMP_NS:
            log.warning(
                "the topic has newer timestamps than the system clock, prices look old until the clock has caught up",
                seconds=behind // JUMP_NS,
            )

    def _start_thread(
        self, name: str, stop: threading.Event, seconds: float, task: Callable[[], None]
    ) -> threading.Thread:
        thread = threading.Thread(target=self._repeat, args=(stop, seconds, task), name=name, daemon=True)
        thread.start()
        return thread

    def _repeat(self, stop: threading.Event, seconds: float, task: Callable[[], None]) -> None:
        while not stop.wait(seconds):
            try:
                task()
            except LeaseHeld as error:
                self._lease_error = error
                stop.set()
            except Exception:
                log.exception("generator thread failed, it continues", thread=threading.current_thread().name)

    def _renew(self) -> None:
        """Renews the lease and the claims to symbols. Raises LeaseHeld if another generator has taken the lease."""
        try:
            self._lease.renew()
            self._claims.renew()
        except StoreUnavailable as error:
            self._redis.begin(f"{error}; feeding without a lease")
        else:
            self._redis.end()

    def _make_steps(self, stop: threading.Event) -> None:
        """Makes one step per interval: sends an update of each active ticker."""
        # The monotonic clock measures the intervals, so that a change of the system clock affects only the timestamps.
        due = reported = self._alive_at = self._clock()
        while not stop.is_set():
            heartbeat.beat()
            now = self._now() // 1000
            self._renew_after_stall()  # directly before the updates, so that few stalls are missed
            self._tickers.apply()
            self._send(self._simulator.step(now), stop)
            due = self._skip_missed_intervals(due + self._interval)
            self._wait(due, stop)
            if self._clock() - reported >= REPORT_SECONDS:
                reported = self._clock()
                self._report()

    def _renew_after_stall(self) -> None:
        """Renews the lease and the claims if more than STALL_SECONDS have passed since the previous call.

        Call this method at least twice per STALL_SECONDS.
        """
        previous, self._alive_at = self._alive_at, self._clock()
        if self._alive_at - previous > STALL_SECONDS:
            log.info("generator stalled, renewing its symbols", seconds=round(self._alive_at - previous, 1))
            self._renew()

    def _skip_missed_intervals(self, due: float) -> float:
        """Skips and counts missed intervals. Returns the time at which the next step is due."""
        late = self._clock() - due
        if late <= self._interval:
            return due
        missed = int(late // self._interval)
        self._missed_intervals += missed
        metrics.MISSED_INTERVALS.inc(missed)
        return due + missed * self._interval

    def _report(self) -> None:
        self._producer.log_failures()
        if self._missed_intervals:
            log.warning("intervals missed: too many tickers, or Kafka is too slow", intervals=self._missed_intervals)
            self._missed_intervals = 0

    def _send(self, updates: list[Update], stop: threading.Event) -> None:
        for sent, update in enumerate(updates):
            value = encode(update)
            while True:
                try:
                    self._producer.send(update.symbol, value)
                    break
                except BrokerUnavailable:
                    # The producer has logged the error. The call is repeated, so no update is lost when the queue is
                    # full.
                    if stop.is_set():
                        unsent = len(updates) - sent
                        self._unsent += unsent
                        metrics.FAILED.labels("unsent").inc(unsent)
                        return
                    self._renew_after_stall()
        metrics.PRODUCED.inc(len(updates))

    def _wait(self, due: float, stop: threading.Event) -> None:
        while True:
            self._producer.poll()
            self._count_delivered()
            self._renew_after_stall()
            remaining = due - self._clock()
            if remaining <= 0 or stop.wait(min(remaining, MAX_POLL_PAUSE_SECONDS)):
                return

    def _count_delivered(self) -> None:
        metrics.DELIVERED.inc(self._producer.delivered - self._counted)
        self._counted = self._producer.delivered

    def _finish(self) -> DeliveryTotals:
        failed = self._producer.close(FLUSH_SECONDS_IN_OUTAGE if self._producer.outage.ongoing else FLUSH_SECONDS)
        totals = DeliveryTotals(delivered=self._producer.delivered, undelivered=failed + self._unsent)
        self._count_delivered()
        if self._lease_thread is not None:
            self._lease_thread.join(JOIN_SECONDS)  # a renewal after the release would take the lease again
        try:
            self._claims.close()
            self._lease.release()
        except StoreUnavailable as error:
            log.info("lease and symbols not released, they expire by themselves", reason=str(error))
        log.info("generator stopped", delivered=totals.delivered, undelivered=totals.undelivered)
        return totals
