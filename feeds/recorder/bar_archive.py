"""Saves recorded bars to the database and reads them back.

A recorded bar is computed from updates in Kafka. A tape is a pair: a symbol and the source of its saved bars. Each bar
refers to a tape. A save that failed may be repeated.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any

import msgspec
from django.db import connection, transaction

from feeds.history.past_bars import is_complete, make_upsert
from feeds.history.transactions import KEYS_PER_QUERY, ROWS_PER_TRANSACTION, chunks, translate_errors
from feeds.models import DayBar, MinuteBar, Origin, Tape, Ticker
from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import BarStarts
from feeds.recorder.past import Past, PreviousDay
from feeds.recorder.symbol_bars import MINUTE_US, SymbolBars
from feeds.source_names import SIMULATED

VALUE_COLUMNS = ("open", "high", "low", "close", "count", "first_seq", "last_seq", "runs", "volume")
MINUTE_COLUMNS = ("id", "first_us", "last_us", *VALUE_COLUMNS)
DAY_COLUMNS = ("tape_id", "day", "first_at", "last_at", *VALUE_COLUMNS)


def _upsert(table: str, key: Sequence[str], columns: Sequence[str]) -> str:
    # A recorder may not know yet that it has lost a partition. Its bars then have fewer updates and replace nothing.
    # `feeds.history.past_bars` says when a recorded bar replaces a fetched bar.
    condition = (
        f"{table}.origin = {Origin.SIMULATED_PAST} "
        f'OR (excluded."count" >= {table}."count" '
        f"AND ({table}.origin = {Origin.RECORDED} OR {is_complete(table, 'excluded', table)}))"
    )
    return make_upsert(table, key, columns, f"origin = {Origin.RECORDED}", condition)


UPSERT_MINUTE = _upsert("feeds_minutebar", ("id",), MINUTE_COLUMNS)
UPSERT_DAY = _upsert("feeds_daybar", ("tape_id", "day"), DAY_COLUMNS)


class BarArchive:
    """Reads and writes bars and tapes in the database."""

    def __init__(self) -> None:
        self._tapes_to_purge: list[int] = []

    def load_symbols(
        self, newest_seconds: Mapping[str, int], sources: Mapping[str, str] = MappingProxyType({})
    ) -> list[SymbolBars]:
        """Returns a SymbolBars for each symbol in `newest_seconds`, with the symbol's two newest recorded days.

        `newest_seconds` is a dict from symbol to the newest second in Redis, or to -1 if Redis has none. `sources` is
        a dict from symbol to source. A symbol that is not in `sources` has the source `simulated`. Creates missing
        tapes. Raises BarArchiveUnavailable.
        """
        wanted = {(symbol, sources.get(symbol, SIMULATED)): second for symbol, second in newest_seconds.items()}
        with translate_errors():
            tapes = self._get_or_create_tapes(list(wanted))
            return [self._load_symbol(tapes[key], second) for key, second in wanted.items()]

    def _get_or_create_tapes(self, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Tape]:
        """Returns a dict from (symbol, source) to the tape in the database. Creates missing tapes."""
        tapes: dict[tuple[str, str], Tape] = {}
        for batch in chunks(keys, KEYS_PER_QUERY):
            rows = Tape.objects.filter(symbol__in=[symbol for symbol, _ in batch])
            tapes |= {(tape.symbol, tape.source): tape for tape in rows}
        if missing := [key for key in keys if key not in tapes]:
            new = [Tape(symbol=symbol, source=source) for symbol, source in missing]
            Tape.objects.bulk_create(new, ignore_conflicts=True)
            tapes |= self._get_or_create_tapes(missing)
        return tapes

    def _load_symbol(self, tape: Tape, newest_second: int) -> SymbolBars:
        rows = MinuteBar.objects.filter(id__gte=MinuteBar.key(tape.pk, 0), id__lt=MinuteBar.key(tape.pk + 1, 0))
        newest_key = rows.order_by("-id").values_list("id", flat=True).first()
        newest_minute = -1 if newest_key is None else newest_key - MinuteBar.key(tape.pk, 0)
        day_rows = (
            DayBar.objects.filter(tape=tape, origin=Origin.RECORDED).order_by("-day").values_list(*DAY_COLUMNS)[:2]
        )
        newest_days = [_decode_day_row(row) for row in day_rows]
        return SymbolBars(
            tape.symbol,
            tape.pk,
            newest_second,
            newest_minute,
            newest_days,
            tape.previous_close,
            self._read_past(tape),
            tape.source,
        )

    def _read_past(self, tape: Tape) -> Past:
        rows = DayBar.objects.filter(tape=tape).exclude(origin=Origin.RECORDED).order_by("-day")
        days = [PreviousDay(day.toordinal(), close) for day, close in rows.values_list("day", "close")[:2]]
        return Past(tape.has_past, tape.past_version, days)

    def find_changed_pasts(self, symbols: Iterable[SymbolBars]) -> list[tuple[SymbolBars, Past]]:
        """Returns the symbols whose fetched or simulated bars have changed in the database.

        Each symbol comes with its new Past: the summary of these bars. Raises BarArchiveUnavailable.
        """
        by_tape = {symbol_bars.tape_id: symbol_bars for symbol_bars in symbols}
        with translate_errors():
            tapes = [tape for tape in Tape.objects.exclude(past_version=0) if tape.pk in by_tape]
            return [
                (by_tape[tape.pk], self._read_past(tape))
                for tape in tapes
                if tape.past_version != by_tape[tape.pk].past.version
            ]

    def find_outdated(self, symbols: Iterable[SymbolBars]) -> list[SymbolBars]:
        """Returns the symbols whose bars in memory come from another source than their ticker has now.

        Raises BarArchiveUnavailable.
        """
        with translate_errors():
            sources = dict(Ticker.objects.values_list("symbol", "source"))
        return [found for found in symbols if sources.get(found.symbol, found.source) != found.source]

    def fetch_minutes(self, wanted: BarStarts) -> None:
        """Reads minute bars from the database into memory.

        `wanted` lists the minutes of each symbol. A minute that the database does not have becomes an empty bar. Raises
        BarArchiveUnavailable.
        """
        keys = {
            MinuteBar.key(symbol_bars.tape_id, start): (symbol_bars, start)
            for symbol_bars, starts in wanted
            for start in starts
        }
        with translate_errors():
            for batch in chunks(list(keys), KEYS_PER_QUERY):
                rows = MinuteBar.objects.filter(id__in=batch, origin=Origin.RECORDED).values_list(*MINUTE_COLUMNS)
                stored = {row[0]: _decode_minute_row(row) for row in rows}
                for key in batch:
                    symbol_bars, start = keys[key]
                    symbol_bars.minutes.put(stored.get(key) or Bar(start))

    def fetch_days(self, wanted: BarStarts) -> None:
        """Reads day bars from the database into memory.

        `wanted` lists the days of each symbol. A day that the database does not have becomes an empty bar. Raises
        BarArchiveUnavailable.
        """
        with translate_errors():
            for symbol_bars, starts in wanted:
                dates = [date.fromordinal(start) for start in starts]
                rows = DayBar.objects.filter(tape_id=symbol_bars.tape_id, day__in=dates, origin=Origin.RECORDED)
                stored = {bar.start: bar for bar in map(_decode_day_row, rows.values_list(*DAY_COLUMNS))}
                for start in starts:
                    symbol_bars.days.put(stored.get(start) or Bar(start))

    def save(
        self, minutes: Iterable[tuple[SymbolBars, list[Bar]]], days: Iterable[tuple[SymbolBars, list[Bar]]]
    ) -> int:
        """Saves bars. Returns the number of saved bars.

        Raises BarArchiveUnavailable. After this error, some of the bars may be saved.
        """
        minute_bars = [(symbol_bars, bar) for symbol_bars, bars in minutes for bar in bars]
        day_bars = [(symbol_bars, bar) for symbol_bars, bars in days for bar in bars]
        with translate_errors():
            # SQLite allows one writer at a time, so transactions are short.
            for batch in chunks(minute_bars, ROWS_PER_TRANSACTION):
                with transaction.atomic(), connection.cursor() as cursor:
                    self._absorb_stored_minutes(batch)
                    cursor.executemany(UPSERT_MINUTE, [_minute_row(*each) for each in batch])
            for batch in chunks(day_bars, ROWS_PER_TRANSACTION):
                with transaction.atomic(), connection.cursor() as cursor:
                    self._absorb_stored_days(batch)
                    cursor.executemany(UPSERT_DAY, [_day_row(*each) for each in batch])
        return len(minute_bars) + len(day_bars)

    def _absorb_stored_minutes(self, unsaved: Sequence[tuple[SymbolBars, Bar]]) -> None:
        """Adds to each unsaved minute the updates that the database has for the same minute."""
        # When partitions are added to the topic, a symbol may move to another recorder in the middle of a minute.
        keys = {MinuteBar.key(symbol_bars.tape_id, bar.start): (symbol_bars, bar) for symbol_bars, bar in unsaved}
        for batch in chunks(list(keys), KEYS_PER_QUERY):
            rows = MinuteBar.objects.select_for_update().filter(id__in=batch, origin=Origin.RECORDED)
            for row in rows.values_list(*MINUTE_COLUMNS):
                symbol_bars, bar = keys[row[0]]
                if bar.absorb(_decode_minute_row(row)):
                    symbol_bars.minutes.unwritten.add(bar.start)

    def _absorb_stored_days(self, unsaved: Sequence[tuple[SymbolBars, Bar]]) -> None:
        keys = {(symbol_bars.tape_id, bar.start): (symbol_bars, bar) for symbol_bars, bar in unsaved}
        tapes, dates = {tape for tape, _ in keys}, {date.fromordinal(day) for _, day in keys}
        for batch in chunks(sorted(tapes), KEYS_PER_QUERY):
            rows = DayBar.objects.select_for_update().filter(tape_id__in=batch, day__in=dates, origin=Origin.RECORDED)
            for row in rows.values_list(*DAY_COLUMNS):
                symbol_bars, bar = keys.get((row[0], row[1].toordinal()), (None, None))
                if symbol_bars is not None and bar is not None and bar.absorb(_decode_day_row(row)):
                    symbol_bars.days.unwritten.add(bar.start)

    def save_closes(self, symbols: Sequence[SymbolBars]) -> None:
        """Saves the previous close of each symbol in `symbols`. Raises BarArchiveUnavailable."""
        for batch in chunks(symbols, KEYS_PER_QUERY):
            tapes = [Tape(pk=symbol_bars.tape_id, previous_close=symbol_bars.previous_close) for symbol_bars in batch]
            with translate_errors():
                Tape.objects.bulk_update(tapes, ["previous_close"])
            for symbol_bars in batch:
                symbol_bars.saved_close = symbol_bars.previous_close

    def read_minutes(self, symbol_bars: SymbolBars, since: int) -> list[Bar]:
        """Returns the saved minutes of a symbol from minute `since` on, oldest first.

        Minutes are counted from 1970. Raises BarArchiveUnavailable.
        """
        first, end = MinuteBar.key(symbol_bars.tape_id, since), MinuteBar.key(symbol_bars.tape_id + 1, 0)
        with translate_errors():
            rows = MinuteBar.objects.filter(id__gte=first, id__lt=end).order_by("id").values_list(*MINUTE_COLUMNS)
            bars = [_decode_minute_row(row) for row in rows]
        for bar in bars:
            # 0 marks an empty slot of a ring
            bar.count = max(bar.count, 1)
        return bars

    def purge(self, before: int, max_rows: int = 10_000) -> int:
        """Deletes up to `max_rows` minute bars that are older than minute `before`. Returns the number of deleted bars.

        Minutes are counted from 1970. If the result is less than `max_rows`, no older bar is left. Raises
        BarArchiveUnavailable.
        """
        deleted = 0
        with translate_errors(), transaction.atomic():
            self._tapes_to_purge = self._tapes_to_purge or list(Tape.objects.values_list("id", flat=True))
            while self._tapes_to_purge and deleted < max_rows:
                deleted += self._purge_tape(self._tapes_to_purge[-1], before, max_rows - deleted)
                if deleted < max_rows:
                    self._tapes_to_purge.pop()
        return deleted

    def _purge_tape(self, tape_id: int, before: int, max_rows: int) -> int:
        rows = MinuteBar.objects.filter(id__gte=MinuteBar.key(tape_id, 0), id__lt=MinuteBar.key(tape_id, before))
        keys = list(rows.order_by("id").values_list("id", flat=True)[:max_rows])
        if keys:
            MinuteBar.objects.filter(id__gte=keys[0], id__lte=keys[-1]).delete()
        return len(keys)

    def close(self) -> None:
        connection.close()


def _minute_row(symbol_bars: SymbolBars, bar: Bar) -> tuple[Any, ...]:
    begin = bar.start * MINUTE_US
    key = MinuteBar.key(symbol_bars.tape_id, bar.start)
    within_us = bar.first_at - begin, bar.last_at - begin
    return key, *within_us, *_values(bar)


def _day_row(symbol_bars: SymbolBars, bar: Bar) -> tuple[Any, ...]:
    key = symbol_bars.tape_id, date.fromordinal(bar.start)
    return *key, bar.first_at, bar.last_at, *_values(bar)


def _values(bar: Bar) -> tuple[Any, ...]:
    """Returns the values of a bar in the order of the columns VALUE_COLUMNS."""
    return *bar.ohlc_count, bar.first_seq, bar.last_seq, _encode_runs(bar), bar.volume


def _encode_runs(bar: Bar) -> bytes | None:
    return None if bar.runs is None else msgspec.msgpack.encode(bar.runs)


def _decode_minute_row(row: tuple[Any, ...]) -> Bar:
    """Makes a bar from a database row with the columns MINUTE_COLUMNS."""
    start = row[0] & (MinuteBar.key(1, 0) - 1)
    begin = start * MINUTE_US
    return _make_bar(start, begin + row[1], begin + row[2], row[3:])


def _decode_day_row(row: tuple[Any, ...]) -> Bar:
    """Makes a bar from a database row with the columns DAY_COLUMNS."""
    return _make_bar(row[1].toordinal(), row[2], row[3], row[4:])


def _make_bar(start: int, first_at: int, last_at: int, values: tuple[Any, ...]) -> Bar:
    bar = Bar(start)
    bar.first_at, bar.last_at = first_at, last_at
    bar.open, bar.high, bar.low, bar.close, bar.count, bar.first_seq, bar.last_seq, runs, bar.volume = values
    if runs is not None:
        bar.runs = msgspec.msgpack.decode(runs, type=list[tuple[int, int, int, int]])
    return bar
