"""Runs the recorder, which reads updates from Kafka and stores their bars.

About once a minute, the recorder brings all bars to Redis and the database, and then stores the Kafka offsets. After a
crash, the recorder reads the updates of the last minute again. Bars ignore repeated updates.
"""

import threading
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from random import Random

import structlog

from feeds import metrics
from feeds.bar_layout import SECONDS
from feeds.errors import BadRecord
from feeds.history.market_days import SourceDays
from feeds.kafka.consumer import UpdateConsumer
from feeds.program_health import heartbeat
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bar_stores import BarStores
from feeds.recorder.open_bars import OpenBars
from feeds.recorder.past_writer import PastWriter, Simulation
from feeds.recorder.pending import PendingUpdate, first_group
from feeds.recorder.recent_bars import RecentBars
from feeds.recorder.schedule import Schedule
from feeds.records import NO_HEADERS, read_headers, read_update
from feeds.retry import Outage, retry
from feeds.stop_signals import run_until
from feeds.wire import latest_timestamp

log = structlog.get_logger(__name__)

MAX_NEW_BARS = 20_000
"""If `OpenBars.new_bars` is greater than this, the recorder saves at once. 20,000 bars need about 10 MB."""

REVOKED_SAVE_SECONDS = 4.0
"""The time limit for the save before Kafka gives partitions of this recorder to other recorders."""
FINAL_SAVE_SECONDS = 1.0
"""The time limit for the save before the recorder ends."""


class Recorder:
    """Reads updates from Kafka and stores their bars.

    `retention` is how long the database keeps minute bars. `simulation` has the parameters of simulated bars. `now`
    returns unix seconds; `clock` returns seconds since any fixed moment.
    """

    def __init__(
        self,
        source: UpdateConsumer,
        recent_bars: RecentBars,
        archive: BarArchive,
        market_days: SourceDays,
        retention: timedelta,
        simulation: Simulation,
        rng: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._retention_minutes = retention // timedelta(minutes=1)
        self._rng = rng or Random()  # noqa: S311
        self._clock = clock
        self._now = now
        self._schedule = Schedule(clock, now)
        self._open_bars = OpenBars(market_days)
        past_writer = PastWriter(simulation)
        self._stores = BarStores(self._open_bars, recent_bars, archive, past_writer, self._rng, clock)
        self._pending: list[PendingUpdate] = []
        self._pending_offsets: dict[int, int] = {}
        """For each partition, the offset after the last record that was read. Empty when all updates are in bars."""
        self._unsaved_offsets: dict[int, int] = {}
        """For each partition, the offset after the last record whose update is in a bar. Empty when all bars are saved.
        """
        self._paused = False

    def run(self, stop: threading.Event) -> bool:
        """Records until `stop` is set. Then saves all bars, commits the offsets and leaves the consumer group.

        Returns whether everything that was read is saved. Raises GroupRefused.
        """
        if not self._join(stop):
            return True
        self._schedule.start()
        return run_until(stop, self.run_once, self._shut_down)

    def _join(self, stop: threading.Event) -> bool:
        """Joins the consumer group, with retries. Returns False if `stop` is set before the recorder has joined."""
        join = partial(self._source.open, self._on_revoked, self._on_lost, stop.wait)
        return retry(join, Outage("Kafka"), stop, self._rng)

    def run_once(self) -> None:
        """Reads a batch from Kafka and adds its updates to bars.

        Then writes, saves, restores and purges bars if necessary.
        """
        heartbeat.beat()
        self._read()
        self._add_pending()
        self._write_and_save()
        self._complete_pasts()
        if self._stores.has_lost_minutes:
            self._stores.restore_minutes()
        elif self._schedule.purge_is_due and self._stores.purge(self._oldest_minute()):
            self._schedule.purged()
        self._pause_or_resume()

    def _read(self) -> None:
        """Reads records from Kafka and appends their updates to `_pending`. Skips invalid records."""
        records = self._source.read()
        latest = latest_timestamp(int(self._now() * 1_000_000))
        last = {}
        for record in records:
            partition = record.partition() or 0
            last[partition] = record
            try:
                update = read_update(record.key(), record.value(), latest)
                headers = record.headers()
                source, missed = read_headers(headers) if headers else NO_HEADERS
                self._pending.append(PendingUpdate(update, source, partition, missed))
            except BadRecord as error:
                # The processor writes the dead letter.
                metrics.SKIPPED.labels(error.kind).inc()
        self._pending_offsets |= {partition: (record.offset() or 0) + 1 for partition, record in last.items()}
        if records and self._paused:
            self._source.pause()  # a rebalance has assigned partitions that are not paused

    def _add_pending(self) -> None:
        """Adds pending updates to their bars, in order. Stops at the first updates whose bars cannot be loaded."""
        oldest_second, oldest_minute = int(self._now()) - SECONDS.slots, self._oldest_minute()
        while self._pending:
            group = first_group(self._pending)
            updates = [pending.update for pending in group.updates]
            if not self._stores.load(updates, group.sources, oldest_second, oldest_minute):
                return
            added = 0
            for pending in group.updates:
                added += self._open_bars.add(pending.update, pending.partition, oldest_second, oldest_minute)
                if pending.missed:
                    self._open_bars.note_missed(pending.update.symbol, pending.missed)
            metrics.RECORDED.inc(added)
            metrics.KNOWN.inc(len(updates) - added)
            del self._pending[: len(updates)]
        self._unsaved_offsets |= self._pending_offsets
        self._pending_offsets.clear()

    def _complete_pasts(self) -> None:
        """Saves missing simulated bars, and updates Redis after changes that other programs made in the database.

        Does nothing while updates are pending or too many bars are new.
        """
        # New prices come first.
        if self._pending or self._open_bars.new_bars > MAX_NEW_BARS:
            return
        if self._stores.has_missing_past:
            self._stores.write_past()
        if self._schedule.follow_is_due and self._stores.follow_changes():
            self._schedule.followed()

    def _oldest_minute(self) -> int:
        """Returns the oldest minute to keep, counted from 1970."""
        return int(self._now()) // 60 - self._retention_minutes

    def _write_and_save(self) -> None:
        if self._schedule.write_is_due:
            if self._stores.write():
                self._schedule.written()
            if self._open_bars.symbols_with_unsaved_close():
                self._schedule.save_soon()  # a new day: pages and gateways read the previous close from the database
        if (self._schedule.save_is_due or self._open_bars.new_bars > MAX_NEW_BARS) and self._save():
            self._schedule.saved()

    def _save(self) -> bool:
        """Brings all bars to Redis and the database, and then stores the Kafka offsets.

        Returns False if Redis or the database is unavailable.
        """
        if not self._unsaved_offsets and not self._open_bars.symbols_with_unsaved_close():
            return True
        if not (self._stores.write() and self._stores.save()):
            return False
        if self._unsaved_offsets:
            self._source.store(self._unsaved_offsets)
            self._unsaved_offsets = {}
        return True

    def _pause_or_resume(self) -> None:
        """Pauses reading while updates are pending or too many bars are new. Resumes reading afterwards."""
        must_pause = bool(self._pending) or self._open_bars.new_bars > 2 * MAX_NEW_BARS
        if must_pause == self._paused:
            return
        self._paused = must_pause
        if must_pause:
            self._source.pause()
        else:
            self._source.resume()

    def _save_within(self, seconds: float) -> bool:
        """Repeats the save until it succeeds, for at most `seconds` seconds. Returns whether it succeeded."""
        deadline = self._clock() + seconds
        pause = threading.Event()
        while not (saved := self._save()) and self._clock() < deadline:
            pause.wait(0.02)
        return saved

    def _on_revoked(self, partitions: Collection[int]) -> None:
        """Saves all bars and commits the offsets, then drops the bars of partitions that other recorders will get."""
        if not self._save_within(REVOKED_SAVE_SECONDS):
            log.warning("partitions revoked with unsaved bars, their records will be read again", partitions=partitions)
        self._source.commit()
        self._on_lost(partitions)

    def _on_lost(self, partitions: Collection[int]) -> None:
        """Drops the bars and the pending updates of partitions that other recorders have now."""
        self._open_bars.drop_partitions(partitions)
        self._pending = [pending for pending in self._pending if pending.partition not in partitions]
        for partition in partitions:
            self._pending_offsets.pop(partition, None)
            self._unsaved_offsets.pop(partition, None)

    def _shut_down(self) -> bool:
        complete = self._save_within(FINAL_SAVE_SECONDS) and not self._pending
        self._unsaved_offsets = {}  # leaving calls `_on_revoked` in another thread, which must not save again
        self._source.leave()
        self._stores.close()
        if not complete:
            log.warning("stopped with unsaved bars, their records will be read again")
        return complete
