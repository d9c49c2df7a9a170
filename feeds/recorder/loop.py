"""The recorder's loop: reads Kafka in a group of its own and keeps bars of it in Redis and in the database.

One thread does all, for it has one thing to do at a time and nobody waits for it. It reads no settings and no
arguments. Offsets are stored after what was read is in both places, about once a minute; what a killed recorder leaves
is read again, and bars know what they have (feeds.recorder.bars). While something is unavailable for long, partitions
are paused.
"""

import threading
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from random import Random

import structlog

from feeds import metrics
from feeds.bar_layout import MINUTES, SECONDS
from feeds.errors import BadRecord, BrokerUnavailable
from feeds.kafka.consumer import UpdateConsumer
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar
from feeds.recorder.market_days import Days
from feeds.recorder.open_bars import OpenBars, SymbolBars
from feeds.recorder.recent_bars import RecentBars
from feeds.records import read_update
from feeds.retry import Backoff, CircuitBreaker, Outage
from feeds.wire import Update

log = structlog.get_logger(__name__)

RING_EVERY = 1.0
"""Seconds between two writes of a symbol to Redis, at least."""

SAVE_EVERY = 60.0
"""Seconds between two savings to the database, of which each stores the offsets. Two seconds after the full minute, so
that most bars are written once, complete."""
SAVE_AFTER = 2.0

MOST_BARS = 20_000
"""Bars begun since the last saving at which the next comes early; reading a backlog does that. Some 10 MB."""

PURGE_EVERY = 3600.0
PURGE_AT_ONCE = 10_000

RESTORE_AT_ONCE = 10
"""Symbols whose minutes are read back for an emptied Redis between two readings of Kafka."""

DRAIN = 4.0
"""Seconds that writing gets on a rebalance; at the end it gets `GRACE`."""
GRACE = 1.0


class Recorder:
    """Records until it is told to stop. `now` gives unix seconds, `clock` seconds of any kind."""

    def __init__(
        self,
        source: UpdateConsumer,
        rings: RecentBars,
        archive: BarArchive,
        days: Days,
        retention: timedelta,
        chance: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._rings = rings
        self._archive = archive
        self._retention = retention // timedelta(minutes=1)
        self._clock = clock
        self._now = now
        self._chance = chance or Random()  # noqa: S311
        self._redis = CircuitBreaker("Redis", self._chance, clock, metrics.RECORDER_RETRIES.labels("redis").inc)
        self._database = CircuitBreaker(
            "database", self._chance, clock, metrics.RECORDER_RETRIES.labels("database").inc
        )
        self._book = OpenBars(days)
        self._waiting: list[tuple[Update, int]] = []
        """Read, and not entered, with their partitions: bars that they belong to could not be fetched."""
        self._read: dict[int, int] = {}
        """The next offset of each partition, of what was read and waits."""
        self._entered: dict[int, int] = {}
        """The same of what was entered and is not yet written everywhere."""
        self._lacking: list[SymbolBars] = []
        """Symbols whose minutes Redis has lost."""
        self._paused = False
        self._ring_due = self._save_due = self._purge_due = 0.0

    def run(self, stop: threading.Event) -> bool:
        """Works until `stop`, then writes what it has, commits and leaves the group.

        Returns whether all that was read is written; what is not will be read again. Raises GroupRefused.
        """
        if not self._join(stop):
            return True
        self._ring_due = self._clock() + RING_EVERY
        self._save_due = self._next_saving()
        self._purge_due = self._clock() + SAVE_EVERY
        try:
            while not stop.is_set():
                self.turn()
        finally:
            done = self._finish()
        return done

    def _join(self, stop: threading.Event) -> bool:
        """Tries until the group can be joined. False when the stop came first."""
        outage, backoff = Outage("Kafka"), Backoff(self._chance, maximum=1.0)
        while not stop.is_set():
            try:
                self._source.open(self._revoked, self._lost, stop.wait)
            except BrokerUnavailable as error:
                outage.begin(error)
                stop.wait(backoff())
            else:
                outage.end()
                return True
        return False

    def turn(self) -> None:
        """One round: read, enter, and write what is due."""
        self._take()
        self._enter()
        now = self._clock()
        if now >= self._ring_due:
            if self._refresh():
                self._ring_due = now + RING_EVERY
            if self._book.turned():
                self._save_due = now  # a new day: pages and gateways shall have the new previous close
        if (now >= self._save_due or self._book.begun > MOST_BARS) and self._save():
            self._save_due = self._next_saving()
        if self._lacking:
            self._restore()
        elif now >= self._purge_due:
            self._database(self._purge)
        self._balance()

    def _next_saving(self) -> float:
        return self._clock() + SAVE_EVERY - (self._now() - SAVE_AFTER) % SAVE_EVERY

    def _take(self) -> None:
        """Reads, and keeps what are updates; the processor deals with the others."""
        records = self._source.read()
        for record in records:
            partition = record.partition() or 0
            self._read[partition] = (record.offset() or 0) + 1
            try:
                self._waiting.append((read_update(record.key(), record.value()), partition))
            except BadRecord as error:
                metrics.SKIPPED.labels(error.kind).inc()
        if records and self._paused:
            self._source.pause()  # a rebalance has brought partitions that nobody paused

    def _enter(self) -> None:
        """Enters all that waits, once every bar that it belongs to is in memory."""
        now = int(self._now())
        since = now - SECONDS.slots, now // 60 - self._retention
        if not (self._meet() and self._fetch(*since)):
            return
        news = 0
        for update, partition in self._waiting:
            news += self._book.add(update, partition, *since)
        metrics.RECORDED.inc(news)
        metrics.KNOWN.inc(len(self._waiting) - news)
        self._waiting.clear()
        self._entered |= self._read
        self._read.clear()

    def _meet(self) -> bool:
        """Opens a track for each symbol that is new here."""
        strangers = self._book.strangers(update for update, _ in self._waiting)
        if not strangers:
            return True
        seconds: dict[str, int] = {}

        def open_tracks() -> None:
            for track in self._archive.open_tracks(seconds):
                self._book.enter(track)

        ask = lambda: seconds.update(self._rings.newest_seconds(strangers))  # noqa: E731
        return self._redis(ask) and self._database(open_tracks)

    def _fetch(self, second: int, minute: int) -> bool:
        """Fetches bars that stand written and are to be added to: at the start, for late updates, in a replay."""
        wanted = self._book.wanted((update for update, _ in self._waiting), second, minute)
        seconds, minutes, days = wanted
        return (
            (not seconds or self._redis(lambda: self._rings.fetch_seconds(seconds)))
            and (not minutes or self._database(lambda: self._archive.fetch_minutes(minutes)))
            and (not days or self._database(lambda: self._archive.fetch_days(days)))
        )

    def _refresh(self) -> bool:
        """Brings what is new to Redis."""
        tracks = self._book.bare()
        return not tracks or self._redis(lambda: self._write_rings(tracks))

    def _write_rings(self, tracks: list[SymbolBars]) -> None:
        self._lacking += self._rings.write(tracks)
        self._book.dress(tracks)
        metrics.RING_WRITES.inc(len(tracks))

    def _write_bars(self) -> None:
        metrics.SAVED.inc(self._archive.save(self._book.unsaved("minutes"), self._book.unsaved("days")))
        self._archive.save_closes(self._book.turned())
        self._book.save()
        metrics.OPEN_SYMBOLS.set(len(self._book.tracks))

    def _save(self) -> bool:
        """Brings all that was entered into both places, and only then stores the offsets."""
        if not self._entered:
            return True
        if not (self._refresh() and self._database(self._write_bars)):
            return False
        self._source.store(self._entered)
        self._entered = {}
        return True

    def _restore(self) -> None:
        """Gives an emptied Redis some symbols' minutes back; those in memory are newer and go there once more."""
        some = [track for track in self._lacking[:RESTORE_AT_ONCE] if self._book.tracks.get(track.symbol) is track]
        read: list[tuple[SymbolBars, list[Bar]]] = []

        def read_back() -> None:
            first = [track.minutes.newest - MINUTES.slots + 1 for track in some]
            read.extend(
                (track, self._archive.read_minutes(track, since)) for track, since in zip(some, first, strict=True)
            )

        def write_back() -> None:
            for track, bars in read:
                self._rings.restore(track, bars)
                track.minutes.bare.update(track.minutes.bars)

        if self._database(read_back) and self._redis(write_back):
            del self._lacking[:RESTORE_AT_ONCE]

    def _purge(self) -> None:
        """Deletes a batch of old minutes; after the last one there is an hour's rest."""
        gone = self._archive.purge(int(self._now()) // 60 - self._retention, PURGE_AT_ONCE)
        metrics.PURGED.inc(gone)
        if gone < PURGE_AT_ONCE:
            self._purge_due = self._clock() + PURGE_EVERY

    def _balance(self) -> None:
        """Reads no further while something is away and memory would grow."""
        full = bool(self._waiting) or self._book.begun > 2 * MOST_BARS
        if full != self._paused:
            self._paused = full
            if full:
                self._source.pause()
            else:
                self._source.resume()

    def _drain(self, seconds: float) -> bool:
        """Tries to write all that was entered, so many seconds at most."""
        deadline = self._clock() + seconds
        never = threading.Event()
        while not (done := self._save()) and self._clock() < deadline:
            never.wait(0.02)
        return done

    def _revoked(self, partitions: Collection[int]) -> None:
        """Another member gets these partitions next: write, commit, forget."""
        if not self._drain(DRAIN):
            log.warning("partitions left with unwritten bars, their next owner reads them again", partitions=partitions)
        self._source.commit()
        self._lost(partitions)

    def _lost(self, partitions: Collection[int]) -> None:
        """Another member has them already: what is in memory of them is his to write."""
        self._book.forget(partitions)
        self._waiting = [each for each in self._waiting if each[1] not in partitions]
        for partition in partitions:
            self._read.pop(partition, None)
            self._entered.pop(partition, None)

    def _finish(self) -> bool:
        done = self._drain(GRACE) and not self._waiting
        self._entered = {}  # leaving revokes partitions, in another thread: nothing more is written
        self._source.leave()
        self._rings.close()
        self._archive.close()
        if not done:
            log.warning("stopped with unwritten bars: they are not committed and will be read again")
        return done
