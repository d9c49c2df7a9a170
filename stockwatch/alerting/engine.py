"""Runs the alert engine, which reads updates from Kafka and writes the firings of alerts to the database.

One thread does all the work. Firings are written at once, other changes about twice a second. Offsets are stored 10 s
late. A restarted engine therefore reads the last updates again, which may fire alerts that were created meanwhile. For
other alerts, a repeated update changes nothing, see `watchlist.alerts.evaluator`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from random import Random
from typing import Any

import structlog

from feeds import metrics
from feeds.errors import BadRecord
from feeds.kafka.consumer import MAX_RECORDS, UpdateConsumer
from feeds.program_health import heartbeat
from feeds.records import read_source, read_update
from feeds.retry import CircuitBreaker, Outage, retry
from feeds.source_names import SIMULATED
from feeds.stop_signals import run_until
from feeds.store.feed_state import FeedState
from feeds.wire import latest_timestamp
from stockwatch.alerting.alert_sync import AlertSync
from stockwatch.alerting.blind_times import BlindTimes
from stockwatch.alerting.silence_watch import SilenceWatch
from watchlist.alerts.alert_states import Calendar
from watchlist.alerts.engine_state import BEHIND_SECONDS, EngineState
from watchlist.alerts.engine_storage import read_reference
from watchlist.alerts.evaluator import Evaluator
from watchlist.alerts.kinds.past_prices import FindCloses
from watchlist.alerts.kinds.recorded_prices import read_minutes, read_range

log = structlog.get_logger(__name__)

SYNC_SECONDS = 0.5
"""The time between two synchronizations with the database: changes by people are read, other changes are written."""

REPLAY_SECONDS = 10.0
"""How late offsets are stored. `watchlist.alerts.watch.RECENT_US` is as long."""

EXPIRY_DELAY_SECONDS = 10.0
"""How long after its expiry an alert counts as expired, so that a delayed update can still fire it."""

REVOKED_WRITE_SECONDS = 4.0
"""The time limit for a write before revoked partitions go to another engine."""

FINAL_WRITE_SECONDS = 1.0
"""The time limit for a write before the engine ends."""

SETTLE_SECONDS = 10.0
"""How long after a rebalance or an outage the engine does not trust `UpdateConsumer.has_read`.

During this time, the Kafka client may not be connected to each broker yet, so it may not know of the newest records.
"""

SECOND_US = 1_000_000


class AlertEngine:
    """Reads updates from Kafka and writes the firings of alerts.

    `publish` is called about twice a second with the state of the engine and the number of alerts per source. `clock`
    returns seconds since any fixed moment, `now` returns unix seconds. `find_closes` looks up recorded prices, for
    alerts on a change within a time such as an hour. `find_sources` returns the states of the sources.
    """

    def __init__(
        self,
        source: UpdateConsumer,
        calendar: Calendar,
        publish: Callable[[EngineState, Mapping[str, int]], None] = lambda _state, _counts: None,
        rng: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        find_closes: FindCloses = read_minutes,
        find_sources: Callable[[], Mapping[str, FeedState]] = dict,
    ) -> None:
        self._source = source
        self._publish = publish
        self._rng = rng or Random()  # noqa: S311
        self._clock = clock
        self._now = now
        self._evaluator = Evaluator(calendar, read_reference, read_range, find_closes)
        self._find_sources = find_sources
        self._blind = BlindTimes()
        self._sync = AlertSync(self._evaluator, now, clock, self._blind.find)
        self._breaker = CircuitBreaker("database", self._rng, clock, metrics.ALERTS_RETRIES.inc)
        self._silence = SilenceWatch(self._evaluator, source.owns, find_sources, now, self._has_read)
        self._settled_at = 0.0
        self._sync_at = 0.0
        self._paused = False
        self._left = False
        self._lag = 0.0
        self._records: list[Any] = []
        """Records that were read and not evaluated yet."""
        self._owned: set[int] = set()
        self._evaluated: deque[tuple[float, dict[int, int]]] = deque()
        """For each read: its time, and the offset after the last record of each partition."""

    def run(self, stop: threading.Event) -> bool:
        """Evaluates alerts until `stop` is set. Then writes all changes and leaves the group.

        Returns True if everything was written. Otherwise the next engine finds the same firings again. Raises
        GroupRefused if Kafka refuses this member.
        """
        if not retry(self._load, Outage("database"), stop, self._rng):
            return True
        join = partial(self._source.open, self._on_revoked, self._on_lost, stop.wait)
        if not retry(join, Outage("Kafka"), stop, self._rng):
            return True
        return run_until(stop, self.run_once, self._shut_down)

    def _load(self) -> None:
        started = self._clock()
        self._sync.load()
        log.info("alerts loaded", alerts=len(self._evaluator), seconds=round(self._clock() - started, 1))

    def run_once(self) -> None:
        """Reads and evaluates a batch of updates. Writes and reads changes of alerts if it is time."""
        heartbeat.beat()
        records = self._source.read()  # a rebalance in this call may replace `_records`
        self._records += records
        if self._records and self._paused:
            self._source.pause()  # a rebalance has assigned partitions that are not paused
        is_due = self._clock() >= self._sync_at
        # In an outage, only a full synchronization counts as a success: work without a query would seem to end it.
        everything = is_due or self._paused
        self._pause_unless(self._breaker(lambda: self._work(everything=everything)))
        if is_due:
            self._sync_at = self._clock() + SYNC_SECONDS
            stalled = self._paused or self._source.outage.ongoing
            is_blind = stalled or self._lag > BEHIND_SECONDS
            self._blind.note(int(self._now() * SECOND_US), self._find_sources(), is_engine_blind=is_blind)
            self._publish(EngineState(self._now(), self._lag, stalled), self._evaluator.count_by_source())

    def _work(self, *, everything: bool) -> None:
        """Evaluates the records that were read, and writes firings. Raises AlertsUnavailable."""
        if not self._source.assigned <= self._owned:
            self._take_over()
        self._evaluate()
        if everything or self._evaluator.has_firings:
            self._synchronize(everything=everything)

    def _take_over(self) -> None:
        """Continues the new partitions where other engines have stopped."""
        self._sync.write(with_progress=True)
        self._sync.restore_progress()
        self._sync.follow()
        self._owned = set(self._source.assigned)
        self._blind.start(int(self._now() * SECOND_US))
        self._settled_at = self._clock() + SETTLE_SECONDS

    def _evaluate(self) -> None:
        """Evaluates the records that were read. Only counts invalid records: the processor writes dead letters.

        If the database does not answer, the remaining records are kept.
        """
        records, done, received_ms = self._records, 0, 0
        latest = latest_timestamp(int(self._now() * SECOND_US))
        offsets: dict[int, int] = {}
        try:
            for done, record in enumerate(records):  # noqa: B007 - used after an error
                received_ms = record.timestamp()[1]
                self._apply(record, received_ms, latest)
                offsets[record.partition()] = record.offset() + 1
            done = len(records)
        finally:
            self._records = records[done:]
            if offsets:
                self._evaluated.append((self._clock(), offsets))
                metrics.ALERTS_READ.inc(done)
        is_full = len(records) > MAX_RECORDS // 2
        self._lag = max(self._now() - received_ms / 1000, 0.0) if is_full else 0.0

    def _apply(self, record: Any, received_ms: int, latest: int) -> None:
        try:
            update = read_update(record.key(), record.value(), latest)
        except BadRecord as error:
            metrics.ALERTS_SKIPPED.labels(error.kind).inc()
            return
        headers = record.headers()
        self._evaluator.apply(update, read_source(headers) if headers else SIMULATED, received_ms)

    def _synchronize(self, *, everything: bool) -> None:
        """Writes firings and changed states.

        If `everything` is true, also writes the progress, stores offsets, reads changes by people and expires alerts.
        """
        self._sync.write(with_progress=everything)
        if not everything:
            return
        self._store_offsets()
        self._sync.follow()
        if self._lag < BEHIND_SECONDS and not self._source.outage.ongoing:
            # An update that was not read yet can still fire an alert, if it is older than the expiry.
            expired = int((self._now() - EXPIRY_DELAY_SECONDS) * SECOND_US)
            self._evaluator.expire(expired, everywhere=self._source.has_read_all())
            self._silence.check()
        else:
            self._silence.reset()
            self._settled_at = self._clock() + SETTLE_SECONDS

    def _has_read(self, symbol: str) -> bool:
        return self._clock() >= self._settled_at and self._source.has_read(symbol)

    def _store_offsets(self) -> None:
        """Stores the offsets of updates that were evaluated at least REPLAY_SECONDS ago.

        Call this method only after all changes that these updates caused have been written.
        """
        offsets: dict[int, int] = {}
        oldest = self._clock() - REPLAY_SECONDS
        while self._evaluated and self._evaluated[0][0] <= oldest:
            offsets |= self._evaluated.popleft()[1]
        if offsets:
            self._source.store(offsets)

    def _pause_unless(self, writes_succeed: bool) -> None:
        """Pauses reading while the database is unavailable, because unwritten changes need memory."""
        if writes_succeed == self._paused:
            self._paused = not writes_succeed
            (self._source.pause if self._paused else self._source.resume)()

    def _write_within(self, seconds: float) -> bool:
        """Tries to write all changes for at most `seconds` seconds. Returns whether a write succeeded."""
        deadline, pause = self._clock() + seconds, threading.Event()
        while not (written := self._breaker(lambda: self._sync.write(with_progress=True))) and self._clock() < deadline:
            pause.wait(0.02)
        return written

    def _on_revoked(self, partitions: Collection[int]) -> None:
        """Writes all changes and commits offsets before another engine gets these partitions."""
        if self._left:
            return
        if not self._write_within(REVOKED_WRITE_SECONDS):
            log.warning(
                "partitions revoked with unwritten firings, another engine will find them", partitions=partitions
            )
        self._source.commit()
        self._on_lost(partitions)

    def _on_lost(self, partitions: Collection[int]) -> None:
        """Forgets partitions that another engine evaluates now."""
        self._owned.difference_update(partitions)
        self._records = [record for record in self._records if record.partition() not in partitions]
        for _, offsets in self._evaluated:
            for partition in partitions:
                offsets.pop(partition, None)

    def _shut_down(self) -> bool:
        complete = self._write_within(FINAL_WRITE_SECONDS)
        self._left = True
        self._source.leave()
        if not complete:
            log.warning("stopped with unwritten firings, the next engine will find them")
        return complete
