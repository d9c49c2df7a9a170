"""Moves bars between memory, Redis and the database, with retries.

If Redis or the database is unavailable, no method raises an error. Each method returns whether it succeeded. The caller
repeats a failed call later. After a failure, further calls return False immediately for some time. This time grows with
each failure.
"""

from collections.abc import Callable, Collection
from random import Random

from feeds import metrics
from feeds.bar_layout import MINUTES
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import OpenBars, SymbolBars
from feeds.recorder.past import Past
from feeds.recorder.past_writer import PastWriter
from feeds.recorder.recent_bars import RecentBars
from feeds.retry import CircuitBreaker
from feeds.wire import Update

MAX_PURGED_ROWS = 10_000
"""How many minutes one call of `purge` deletes at most."""

MAX_RESTORED_SYMBOLS = 10
"""How many symbols one call of `restore_minutes` handles at most.

The recorder reads Kafka between two calls.
"""


class BarStores:
    """The two stores of bars: recent bars in Redis, and the archive in the database."""

    def __init__(
        self,
        open_bars: OpenBars,
        recent_bars: RecentBars,
        archive: BarArchive,
        past_writer: PastWriter,
        rng: Random,
        clock: Callable[[], float],
    ) -> None:
        self._open_bars = open_bars
        self._recent_bars = recent_bars
        self._archive = archive
        self._past_writer = past_writer
        self._redis = CircuitBreaker("Redis", rng, clock, metrics.RECORDER_RETRIES.labels("redis").inc)
        self._database = CircuitBreaker("database", rng, clock, metrics.RECORDER_RETRIES.labels("database").inc)
        self._to_restore: list[SymbolBars] = []
        """The symbols whose minutes Redis has lost or does not have yet."""

    def load(self, updates: Collection[Update], oldest_second: int, oldest_minute: int) -> bool:
        """Loads into memory every stored bar to which one of these updates belongs.

        Skips bars of seconds below `oldest_second` and bars of minutes below `oldest_minute`. Seconds and minutes are
        counted from 1970.
        """
        return self._load_symbols(updates) and self._fetch_bars(updates, oldest_second, oldest_minute)

    def _load_symbols(self, updates: Collection[Update]) -> bool:
        unknown = self._open_bars.find_unknown(updates)
        if not unknown:
            return True
        newest_seconds: dict[str, int] = {}

        def read_newest_seconds() -> None:
            newest_seconds.update(self._recent_bars.newest_seconds(unknown))

        def load_symbols() -> None:
            symbols = self._archive.load_symbols(newest_seconds)
            for symbol_bars in symbols:
                self._open_bars.add_symbol(symbol_bars)
            self._past_writer.add(symbols)

        return self._redis(read_newest_seconds) and self._database(load_symbols)

    def _fetch_bars(self, updates: Collection[Update], oldest_second: int, oldest_minute: int) -> bool:
        """Fetches the stored bars of these updates, except bars that are in memory.

        Bars may be missing in memory after a start, for late updates, and when old records are read again.
        """
        seconds, minutes, days = self._open_bars.find_bars_to_fetch(updates, oldest_second, oldest_minute)
        return (
            (not seconds or self._redis(lambda: self._recent_bars.fetch_seconds(seconds)))
            and (not minutes or self._database(lambda: self._archive.fetch_minutes(minutes)))
            and (not days or self._database(lambda: self._archive.fetch_days(days)))
        )

    def write(self) -> bool:
        """Writes to Redis all bars that Redis does not have yet."""
        symbols = self._open_bars.unwritten_symbols()
        return not symbols or self._redis(lambda: self._write(symbols))

    def _write(self, symbols: list[SymbolBars]) -> None:
        self._to_restore += self._recent_bars.write(symbols)
        self._open_bars.mark_written(symbols)
        metrics.RING_WRITES.inc(len(symbols))

    def save(self) -> bool:
        """Saves all bars and previous closes that the database does not have yet."""
        return self._database(self._save)

    def _save(self) -> None:
        metrics.SAVED.inc(self._archive.save(self._open_bars.unsaved_minutes(), self._open_bars.unsaved_days()))
        self._archive.save_closes(self._open_bars.symbols_with_unsaved_close())
        self._open_bars.mark_saved()
        metrics.OPEN_SYMBOLS.set(len(self._open_bars.by_symbol))

    @property
    def has_lost_minutes(self) -> bool:
        """Whether Redis has lost minutes that `restore_minutes` has to write back."""
        return bool(self._to_restore)

    def restore_minutes(self) -> bool:
        """Copies lost minutes from the database back to Redis.

        Handles at most MAX_RESTORED_SYMBOLS symbols. The minutes in memory are newer than the saved minutes. Therefore
        the next `write` writes the minutes in memory again.
        """
        batch = [
            symbol_bars
            for symbol_bars in self._to_restore[:MAX_RESTORED_SYMBOLS]
            if self._open_bars.by_symbol.get(symbol_bars.symbol) is symbol_bars
        ]
        saved: list[tuple[SymbolBars, list[Bar]]] = []

        def read_saved() -> None:
            for symbol_bars in batch:
                oldest = symbol_bars.minutes.newest - MINUTES.slots + 1
                saved.append((symbol_bars, self._archive.read_minutes(symbol_bars, oldest)))

        def write_back() -> None:
            for symbol_bars, bars in saved:
                self._recent_bars.restore_minutes(symbol_bars, bars)
                symbol_bars.minutes.unwritten.update(symbol_bars.minutes.bars)

        if not (self._database(read_saved) and self._redis(write_back)):
            return False
        del self._to_restore[:MAX_RESTORED_SYMBOLS]
        return True

    @property
    def has_missing_past(self) -> bool:
        """Whether `write_past` has symbols whose simulated past is missing."""
        return self._past_writer.has_work

    def write_past(self) -> bool:
        """Writes a part of the missing pasts to the database. `restore_minutes` then copies minutes to Redis."""

        def write() -> None:
            self._to_restore += self._past_writer.step()

        return self._database(write)

    def follow_pasts(self) -> bool:
        """Finds changes of bars that were not recorded, and gives Redis what the changes concern."""
        changed: list[tuple[SymbolBars, Past]] = []

        def find() -> None:
            changed.extend(self._archive.find_changed_pasts(self._open_bars.by_symbol.values()))

        if not self._database(find):
            return False
        for symbol_bars, past in changed:
            symbol_bars.change_past(past)
            self._to_restore.append(symbol_bars)
        return True

    def purge(self, before: int) -> bool:
        """Deletes up to MAX_PURGED_ROWS saved minutes that are older than minute `before`.

        Minutes are counted from 1970. Returns True if no older minute is left.
        """
        deleted = 0

        def delete() -> None:
            nonlocal deleted
            deleted = self._archive.purge(before, MAX_PURGED_ROWS)
            metrics.PURGED.inc(deleted)

        return self._database(delete) and deleted < MAX_PURGED_ROWS

    def close(self) -> None:
        self._recent_bars.close()
        self._archive.close()
