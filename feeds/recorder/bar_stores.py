"""Moves bars between memory, Redis and the database."""

from collections.abc import Callable, Collection, Mapping
from random import Random

from feeds import metrics
from feeds.bar_layout import MINUTES
from feeds.history.missed_spans import save_spans
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import OpenBars
from feeds.recorder.past import Past
from feeds.recorder.past_writer import PastWriter
from feeds.recorder.recent_bars import RecentBars
from feeds.recorder.symbol_bars import SymbolBars
from feeds.retry import CircuitBreaker
from feeds.wire import Update

MAX_PURGED_ROWS = 10_000
"""The greatest number of minute bars that one call of `purge` deletes."""

MAX_RESTORED_SYMBOLS = 10
"""The greatest number of symbols whose minute bars one call of `restore_minutes` copies."""


class BarStores:
    """Moves bars between memory and two stores.

    Redis has the recent bars. The database has minute bars and day bars. A method returns False if a store is
    unavailable; the caller repeats the call later.
    """

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
        # If the disk is full, reads still succeed. A successful read must not end the outage of the writes.
        self._saving = CircuitBreaker("database writes", rng, clock, metrics.RECORDER_RETRIES.labels("database").inc)
        self._to_restore: list[SymbolBars] = []
        """The symbols whose minute bars must be copied from the database to Redis."""

    def load(
        self, updates: Collection[Update], sources: Mapping[str, str], oldest_second: int, oldest_minute: int
    ) -> bool:
        """Loads into memory the stored bars to which these updates belong.

        Returns False if Redis or the database is unavailable. `sources` is a dict from symbol to source. Bars of
        seconds before `oldest_second` and of minutes before `oldest_minute` are left out. Both are counted from 1970.
        """
        # `_fetch_bars` needs the SymbolBars of each update.
        return self._load_symbols(sources) and self._fetch_bars(updates, oldest_second, oldest_minute)

    def _load_symbols(self, sources: Mapping[str, str]) -> bool:
        unknown = self._open_bars.find_unknown(sources)
        if not unknown:
            return True
        newest_seconds: dict[str, int] = {}

        def read_newest_seconds() -> None:
            newest_seconds.update(self._recent_bars.newest_seconds(unknown))

        def load_symbols() -> None:
            symbols = self._archive.load_symbols(newest_seconds, unknown)
            for symbol_bars in symbols:
                earlier = self._open_bars.take_earlier(symbol_bars.symbol, symbol_bars.source)
                self._open_bars.add_symbol(earlier or symbol_bars)
            self._past_writer.add(symbols)

        return self._redis(read_newest_seconds) and self._database(load_symbols)

    def _fetch_bars(self, updates: Collection[Update], oldest_second: int, oldest_minute: int) -> bool:
        """Loads into memory the stored bars to which these updates belong. Skips bars that are in memory already.

        Returns False if Redis or the database is unavailable.
        """
        seconds, minutes, days = self._open_bars.find_bars_to_fetch(updates, oldest_second, oldest_minute)
        return (
            (not seconds or self._redis(lambda: self._recent_bars.fetch_seconds(seconds)))
            and (not minutes or self._database(lambda: self._archive.fetch_minutes(minutes)))
            and (not days or self._database(lambda: self._archive.fetch_days(days)))
        )

    def write(self) -> bool:
        """Writes to Redis all bars that Redis does not have yet. Returns False if Redis is unavailable."""
        symbols = self._open_bars.unwritten_symbols()
        return not symbols or self._redis(lambda: self._write(symbols))

    def _write(self, symbols: list[SymbolBars]) -> None:
        """Writes the bars of these symbols to Redis. Skips a symbol if its ticker has another source now."""
        current = [symbol_bars for symbol_bars in symbols if not symbol_bars.is_outdated]
        self._to_restore += self._recent_bars.write(current)
        self._open_bars.mark_written(symbols)
        metrics.RING_WRITES.inc(len(current))

    def save(self) -> bool:
        """Saves all bars and previous closes that the database does not have yet.

        Returns False if the database is unavailable.
        """
        return self._saving(self._save)

    def _save(self) -> None:
        # The spans of lost trades come before the bars. A bar in such a span is incomplete and replaces no fetched bar.
        for tape_id, spans in self._open_bars.unsaved_spans():
            save_spans(tape_id, spans)
        metrics.SAVED.inc(self._archive.save(self._open_bars.unsaved_minutes(), self._open_bars.unsaved_days()))
        self._archive.save_closes(self._open_bars.symbols_with_unsaved_close())
        self._open_bars.mark_saved()
        metrics.OPEN_SYMBOLS.set(len(self._open_bars.by_symbol))

    @property
    def has_lost_minutes(self) -> bool:
        """Whether Redis may lack minute bars that the database has."""
        return bool(self._to_restore)

    def restore_minutes(self) -> bool:
        """Copies minute bars of at most MAX_RESTORED_SYMBOLS symbols from the database to Redis.

        Call this method while `has_lost_minutes` is true. Returns False if Redis or the database is unavailable.
        """
        batch = [
            symbol_bars
            for symbol_bars in self._to_restore[:MAX_RESTORED_SYMBOLS]
            if self._open_bars.by_symbol.get(symbol_bars.symbol) is symbol_bars and not symbol_bars.is_outdated
        ]
        saved: list[tuple[SymbolBars, list[Bar]]] = []

        def read_saved() -> None:
            for symbol_bars in batch:
                oldest = symbol_bars.minutes.newest - MINUTES.slots + 1
                saved.append((symbol_bars, self._archive.read_minutes(symbol_bars, oldest)))

        def write_back() -> None:
            for symbol_bars, bars in saved:
                self._recent_bars.restore_minutes(symbol_bars, bars)
                # The copy may have replaced newer bars in Redis. The next `write` writes all minutes in memory again.
                symbol_bars.minutes.unwritten.update(symbol_bars.minutes.bars)

        if not (self._database(read_saved) and self._redis(write_back)):
            return False
        del self._to_restore[:MAX_RESTORED_SYMBOLS]
        return True

    @property
    def has_missing_past(self) -> bool:
        """Whether a simulated symbol still lacks bars for the time before its first recorded price."""
        return self._past_writer.has_work

    def write_past(self) -> bool:
        """Saves some of the simulated bars that symbols lack before their first recorded price.

        Call this method while `has_missing_past` is true. Returns False if the database is unavailable.
        """

        def write() -> None:
            # `restore_minutes` copies the new minutes to Redis.
            self._to_restore += self._past_writer.step()

        return self._saving(write)

    def follow_changes(self) -> bool:
        """Updates Redis after other programs have changed tickers or bars in the database.

        Returns False if Redis or the database is unavailable.
        """
        symbols = self._open_bars.by_symbol.values()
        pasts: list[tuple[SymbolBars, Past]] = []
        outdated: list[SymbolBars] = []

        def find() -> None:
            pasts.extend(self._archive.find_changed_pasts(symbols))
            outdated.extend(self._archive.find_outdated(symbols))

        def forget() -> None:
            # The tickers of these symbols have another source now.
            self._recent_bars.forget([found.symbol for found in outdated if not found.is_outdated])

        if not (self._database(find) and self._redis(forget)):
            return False
        again = [known for known in symbols if known.is_outdated and known not in outdated]
        for symbol_bars in symbols:
            symbol_bars.is_outdated = symbol_bars in outdated
        for symbol_bars, past in [*pasts, *((known, known.past) for known in again)]:
            symbol_bars.change_past(past)
            # A later call of `restore_minutes` copies the symbol's minute bars to Redis.
            self._to_restore.append(symbol_bars)
        return True

    def purge(self, before: int) -> bool:
        """Deletes from the database up to MAX_PURGED_ROWS minute bars that are older than minute `before`.

        `before` counts minutes from 1970. Returns False if older bars may be left.
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
