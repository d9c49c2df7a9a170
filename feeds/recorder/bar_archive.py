"""Bars in the database: the only writer of tapes, minute bars and day bars.

It knows neither Kafka nor Redis. Transactions are short, for SQLite has one writer at a time, and whatever is written
may be written again: a bar replaces the stored one only where it has counted at least as much. So a recorder that was
stopped, lost its partitions and goes on with old bars can undo nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, TypeVar

import msgspec
from django.db import Error, connection, transaction

from feeds.errors import BarArchiveUnavailable
from feeds.models import DayBar, MinuteBar, Tape
from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import MINUTE, SymbolBars, Wanted

AT_ONCE = 1_000
"""Rows in one transaction: some 10 ms, in which nobody else writes to SQLite."""

AT_ONCE_ASKED = 500
"""Keys in one question."""

FIGURES = ("open", "high", "low", "close", "count", "first_seq", "last_seq", "runs")
MINUTE_COLUMNS = ("id", "first_us", "last_us", *FIGURES)
DAY_COLUMNS = ("tape_id", "day", "first_at", "last_at", *FIGURES)


def _upsert(table: str, key: Sequence[str], columns: Sequence[str]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    news = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in key)
    marks = ", ".join(["%s"] * len(columns))
    return (
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({', '.join(key)}) "  # noqa: S608  # names of ours
        f'DO UPDATE SET {news} WHERE excluded."count" >= {table}."count"'
    )


SAVE_MINUTE = _upsert("feeds_minutebar", ("id",), MINUTE_COLUMNS)
SAVE_DAY = _upsert("feeds_daybar", ("tape_id", "day"), DAY_COLUMNS)

Item = TypeVar("Item")


class BarArchive:
    """The tables, seen by one recorder."""

    def __init__(self) -> None:
        self._doomed: list[int] = []

    def open_tracks(self, seconds: Mapping[str, int]) -> list[SymbolBars]:
        """A track for each symbol, with what is stored of it; makes tapes for new ones. Raises RecordsUnavailable.

        `seconds` gives the newest second that Redis has of each symbol, -1 for none.
        """
        with _answering():
            tapes = self._find_tapes(list(seconds))
            return [self._open_track(tapes[symbol], second) for symbol, second in seconds.items()]

    def _find_tapes(self, symbols: list[str]) -> dict[str, Tape]:
        found: dict[str, Tape] = {}
        for some in chunks(symbols, AT_ONCE_ASKED):
            found |= {tape.symbol: tape for tape in Tape.objects.filter(symbol__in=some)}
        if missing := [symbol for symbol in symbols if symbol not in found]:
            Tape.objects.bulk_create([Tape(symbol=symbol) for symbol in missing], ignore_conflicts=True)
            found |= self._find_tapes(missing)
        return found

    def _open_track(self, tape: Tape, second: int) -> SymbolBars:
        rows = MinuteBar.objects.filter(id__gte=MinuteBar.key(tape.pk, 0), id__lt=MinuteBar.key(tape.pk + 1, 0))
        newest = rows.order_by("-id").values_list("id", flat=True).first()
        minute = -1 if newest is None else newest - MinuteBar.key(tape.pk, 0)
        days = DayBar.objects.filter(tape=tape).order_by("-day").values_list(*DAY_COLUMNS)[:2]
        bars = [read_day(row) for row in days]
        return SymbolBars(tape.symbol, tape.pk, second, minute, bars, tape.previous_close)

    def fetch_minutes(self, wanted: Wanted) -> None:
        """Puts stored minutes into their tracks, empty ones for those not stored. Raises RecordsUnavailable."""
        keys = {MinuteBar.key(track.number, start): (track, start) for track, starts in wanted for start in starts}
        with _answering():
            for some in chunks(list(keys), AT_ONCE_ASKED):
                rows = MinuteBar.objects.filter(id__in=some).values_list(*MINUTE_COLUMNS)
                stored = {row[0]: read_minute(row) for row in rows}
                for key in some:
                    track, start = keys[key]
                    track.minutes.put(stored.get(key) or Bar(start))

    def fetch_days(self, wanted: Wanted) -> None:
        """The same for days."""
        with _answering():
            for track, starts in wanted:
                asked = [date.fromordinal(start) for start in starts]
                rows = DayBar.objects.filter(tape_id=track.number, day__in=asked).values_list(*DAY_COLUMNS)
                stored = {bar.start: bar for bar in map(read_day, rows)}
                for start in starts:
                    track.days.put(stored.get(start) or Bar(start))

    def save(
        self, minutes: Iterator[tuple[SymbolBars, list[Bar]]], days: Iterator[tuple[SymbolBars, list[Bar]]]
    ) -> int:
        """Writes bars; returns how many. Raises RecordsUnavailable, with some written: all may be written again."""
        rows = [_minute_row(track, bar) for track, bars in minutes for bar in bars]
        day_rows = [_day_row(track, bar) for track, bars in days for bar in bars]
        with _answering():
            for statement, all_rows in ((SAVE_MINUTE, rows), (SAVE_DAY, day_rows)):
                for some in chunks(all_rows, AT_ONCE):
                    with transaction.atomic(), connection.cursor() as cursor:
                        cursor.executemany(statement, some)
        return len(rows) + len(day_rows)

    def save_closes(self, tracks: Sequence[SymbolBars]) -> None:
        """Writes the previous close of each symbol where it is not what is stored. Raises RecordsUnavailable."""
        for some in chunks(tracks, AT_ONCE_ASKED):
            tapes = [Tape(pk=track.number, previous_close=track.previous_close) for track in some]
            with _answering():
                Tape.objects.bulk_update(tapes, ["previous_close"])
            for track in some:
                track.saved_close = track.previous_close

    def read_minutes(self, track: SymbolBars, since: int) -> list[Bar]:
        """The stored minutes of one symbol from `since` on. Raises RecordsUnavailable."""
        first, last = MinuteBar.key(track.number, since), MinuteBar.key(track.number + 1, 0)
        with _answering():
            rows = MinuteBar.objects.filter(id__gte=first, id__lt=last).order_by("id").values_list(*MINUTE_COLUMNS)
            return [read_minute(row) for row in rows]

    def purge(self, before: int, most: int = 10_000) -> int:
        """Deletes at most so many minutes that began before a minute, in one transaction; returns how many.

        Fewer than `most` is the end of a round through all tapes. Raises RecordsUnavailable.
        """
        gone = 0
        with _answering(), transaction.atomic():
            self._doomed = self._doomed or list(Tape.objects.values_list("id", flat=True))
            while self._doomed and gone < most:
                tape = self._doomed[-1]
                rows = MinuteBar.objects.filter(id__gte=MinuteBar.key(tape, 0), id__lt=MinuteBar.key(tape, before))
                keys = list(rows.order_by("id").values_list("id", flat=True)[: most - gone])
                if keys:
                    MinuteBar.objects.filter(id__gte=keys[0], id__lte=keys[-1]).delete()
                gone += len(keys)
                if gone < most:
                    self._doomed.pop()
        return gone

    def close(self) -> None:
        connection.close()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except Error as error:
        # A connection that broke is not mended by itself outside of requests.
        connection.close()
        raise BarArchiveUnavailable(
            f"bars cannot be read or written ({str(error).splitlines()[0]}); has `manage.py migrate` been run?"
        ) from error


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Runs of at most so many items."""
    return (items[at : at + size] for at in range(0, len(items), size))


def _minute_row(track: SymbolBars, bar: Bar) -> tuple[Any, ...]:
    begin = bar.start * MINUTE
    key = MinuteBar.key(track.number, bar.start)
    return key, bar.first_at - begin, bar.last_at - begin, *bar.figures, bar.first_seq, bar.last_seq, _pack(bar)


def _day_row(track: SymbolBars, bar: Bar) -> tuple[Any, ...]:
    day = date.fromordinal(bar.start)
    return track.number, day, bar.first_at, bar.last_at, *bar.figures, bar.first_seq, bar.last_seq, _pack(bar)


def _pack(bar: Bar) -> bytes | None:
    return None if bar.runs is None else msgspec.msgpack.encode(bar.runs)


def read_minute(row: tuple[Any, ...]) -> Bar:
    """The bar of a row of MINUTE_COLUMNS."""
    start = row[0] & (MinuteBar.key(1, 0) - 1)
    return _bar(start, start * MINUTE + row[1], start * MINUTE + row[2], row[3:])


def read_day(row: tuple[Any, ...]) -> Bar:
    """The bar of a row of DAY_COLUMNS."""
    return _bar(row[1].toordinal(), row[2], row[3], row[4:])


def _bar(start: int, first_at: int, last_at: int, figures: tuple[Any, ...]) -> Bar:
    bar = Bar(start)
    bar.first_at, bar.last_at = first_at, last_at
    bar.open, bar.high, bar.low, bar.close, bar.count, bar.first_seq, bar.last_seq, runs = figures
    if runs is not None:
        bar.runs = msgspec.msgpack.decode(runs, type=list[tuple[int, int, int, int]])
    return bar
