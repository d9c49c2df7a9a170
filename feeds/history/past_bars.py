"""Saves bars that were not recorded: fetched ones, and the simulated past.

A recorded bar and a bar of another origin may be about the same period. Then one of the two stays in the table:

- A recorded bar always replaces a bar of the simulated past, and never the other way round.
- A fetched bar is the source's own, and complete. A recorded bar is complete if recording missed none of the trades:
  then its volume and its count are at least those of the fetched bar. A complete recorded bar stays or replaces the
  fetched one. Otherwise the fetched bar stays or replaces the recorded one. A source that does not say the count is
  compared by volume only.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from feeds.bar_layout import MAX_VOLUME, VOLUME_UNIT
from feeds.history.transactions import ROWS_PER_TRANSACTION, chunks, translate_errors
from feeds.models import MinuteBar, Origin, Tape
from feeds.sources.events import Bar

MINUTE_SECONDS = 60

MINUTE_US = MINUTE_SECONDS * 1_000_000
DAY_US = 24 * 60 * MINUTE_US

VALUE_COLUMNS = ("open", "high", "low", "close", "count", "first_seq", "last_seq", "volume", "origin")
MINUTE_COLUMNS = ("id", "first_us", "last_us", *VALUE_COLUMNS)
DAY_COLUMNS = ("tape_id", "day", "first_at", "last_at", *VALUE_COLUMNS)


def is_complete(recorded: str, fetched: str) -> str:
    """Returns the SQL condition that a recorded bar is complete, given the fetched bar of the same period.

    Sums of rounded sizes may differ in the last digits. Therefore a difference of 1e-9 does not count.
    """
    return (
        f'({recorded}."count" >= {fetched}."count" '
        f"AND {recorded}.volume >= {fetched}.volume - {fetched}.volume / 1000000000 - 1)"
    )


def _upsert(table: str, key: Sequence[str], columns: Sequence[str]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    placeholders = ", ".join(["%s"] * len(columns))
    assignments = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in key)
    return (
        f"INSERT INTO {table} ({names}) VALUES ({placeholders}) "  # noqa: S608 - all names are constants
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {assignments}, runs = NULL "
        f"WHERE {table}.origin <> {Origin.RECORDED} "
        f"OR (excluded.origin = {Origin.FETCHED} AND NOT {is_complete(table, 'excluded')})"
    )


UPSERT_MINUTE = _upsert("feeds_minutebar", ("id",), MINUTE_COLUMNS)
UPSERT_DAY = _upsert("feeds_daybar", ("tape_id", "day"), DAY_COLUMNS)


def save_minutes(tape_id: int, bars: Sequence[Bar], origin: Origin) -> None:
    """Saves minutes in short transactions. May be repeated. Raises BarArchiveUnavailable."""
    rows = [_minute_row(tape_id, bar, origin) for bar in bars]
    with translate_errors():
        for batch in chunks(rows, ROWS_PER_TRANSACTION):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.executemany(UPSERT_MINUTE, batch)


def save_days(tape_id: int, bars: Mapping[int, Bar], origin: Origin) -> None:
    """Saves days in one transaction. The keys are ordinals of market days. Raises BarArchiveUnavailable."""
    rows = [_day_row(tape_id, day, bar, origin) for day, bar in bars.items()]
    with translate_errors(), transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(UPSERT_DAY, rows)


def _minute_row(tape_id: int, bar: Bar, origin: Origin) -> tuple[Any, ...]:
    return MinuteBar.key(tape_id, bar.start // MINUTE_US), 0, MINUTE_US - 1, *_values(bar, origin)


def _day_row(tape_id: int, day: int, bar: Bar, origin: Origin) -> tuple[Any, ...]:
    return tape_id, date.fromordinal(day), bar.start, bar.start + DAY_US - 1, *_values(bar, origin)


def _values(bar: Bar, origin: Origin) -> tuple[Any, ...]:
    """Returns the values of the VALUE_COLUMNS. A bar that was not recorded has no seq_ids."""
    volume = min(round(bar.volume / VOLUME_UNIT), MAX_VOLUME)
    return bar.open, bar.high, bar.low, bar.close, bar.count or 0, 0, 0, volume, int(origin)


def find_tape(symbol: str, source: str) -> Tape:
    """Returns the tape of a symbol and a source. Creates a new one if necessary. Raises BarArchiveUnavailable."""
    with translate_errors():
        return Tape.objects.get_or_create(symbol=symbol, source=source)[0]


def note_fetched(tape_id: int, interval: int, end: int) -> None:
    """Notes that the bars of this length, in seconds, were fetched up to `end`. Raises BarArchiveUnavailable."""
    column = "minutes_fetched_to" if interval == MINUTE_SECONDS else "days_fetched_to"
    with translate_errors():
        Tape.objects.filter(pk=tape_id).update(**{column: end})


def complete_past(tape_id: int) -> None:
    """Notes that the past of a tape is complete, and that its bars have changed. Raises BarArchiveUnavailable."""
    with translate_errors():
        Tape.objects.filter(pk=tape_id).update(has_past=True, past_version=F("past_version") + 1)
