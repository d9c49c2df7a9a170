"""Saves bars that were not recorded: fetched bars and simulated bars.

A tape has at most one bar for each minute and for each day. A new bar replaces a bar that was not recorded. A fetched
bar also replaces a recorded bar that is not complete. A recorded bar is complete if no missed span touches the
recorded bar. The recorded bar must also have at least the volume and the count of the fetched bar.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from feeds.bar_layout import MAX_VOLUME, VOLUME_UNIT
from feeds.history.missed_spans import lacks_trades_of_day, lacks_trades_of_minute
from feeds.history.transactions import ROWS_PER_TRANSACTION, chunks, translate_errors
from feeds.models import MinuteBar, Origin, Tape
from feeds.sources.events import Bar

MINUTE_SECONDS = 60

MINUTE_US = MINUTE_SECONDS * 1_000_000
DAY_US = 24 * 60 * MINUTE_US

VALUE_COLUMNS = ("open", "high", "low", "close", "count", "first_seq", "last_seq", "volume", "origin")
MINUTE_COLUMNS = ("id", "first_us", "last_us", *VALUE_COLUMNS)
DAY_COLUMNS = ("tape_id", "day", "first_at", "last_at", *VALUE_COLUMNS)

LACKS_TRADES = {"feeds_minutebar": lacks_trades_of_minute, "feeds_daybar": lacks_trades_of_day}
"""For each table, the function that returns the SQL condition that a missed span touches a bar."""


def is_complete(table: str, recorded: str, fetched: str) -> str:
    """Returns the SQL condition that a recorded bar is complete, compared with a fetched bar.

    `recorded` and `fetched` are the SQL names of two rows of `table`.
    """
    return (
        f'({recorded}."count" >= {fetched}."count" '
        # Sums of rounded sizes may differ in the last digits.
        f"AND {recorded}.volume >= {fetched}.volume - {fetched}.volume / 1000000000 - 1 "
        f"AND NOT {LACKS_TRADES[table](recorded)})"
    )


def make_upsert(table: str, key: Sequence[str], columns: Sequence[str], assignment: str, condition: str) -> str:
    """Returns the SQL that inserts a row, or replaces the row with the same key if `condition` holds.

    `assignment` sets one more column. In `assignment` and `condition`, `excluded` is the new row.
    """
    names = ", ".join(f'"{name}"' for name in columns)
    placeholders = ", ".join(["%s"] * len(columns))
    assignments = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in key)
    return (
        f"INSERT INTO {table} ({names}) VALUES ({placeholders}) "  # noqa: S608 - all names are constants
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {assignments}, {assignment} WHERE {condition}"
    )


def _replaces(table: str) -> str:
    """Returns the SQL condition under which a fetched or simulated bar replaces the stored bar."""
    return (
        f"{table}.origin <> {Origin.RECORDED} "
        f"OR (excluded.origin = {Origin.FETCHED} AND NOT {is_complete(table, table, 'excluded')})"
    )


def _make_past_upsert(table: str, key: Sequence[str], columns: Sequence[str]) -> str:
    return make_upsert(table, key, columns, "runs = NULL", _replaces(table))


UPSERT_MINUTE = _make_past_upsert("feeds_minutebar", ("id",), MINUTE_COLUMNS)
UPSERT_DAY = _make_past_upsert("feeds_daybar", ("tape_id", "day"), DAY_COLUMNS)


def save_minutes(tape_id: int, bars: Sequence[Bar], origin: Origin) -> None:
    """Saves minute bars of a tape in short transactions. Raises BarArchiveUnavailable."""
    rows = [_minute_row(tape_id, bar, origin) for bar in bars]
    with translate_errors():
        for batch in chunks(rows, ROWS_PER_TRANSACTION):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.executemany(UPSERT_MINUTE, batch)


def save_days(tape_id: int, bars: Mapping[int, Bar], origin: Origin) -> None:
    """Saves day bars of a tape in one transaction. `bars` is a dict from the ordinal of a market day to its bar.

    Raises BarArchiveUnavailable.
    """
    rows = [_day_row(tape_id, day, bar, origin) for day, bar in bars.items()]
    with translate_errors(), transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(UPSERT_DAY, rows)


def _minute_row(tape_id: int, bar: Bar, origin: Origin) -> tuple[Any, ...]:
    return MinuteBar.key(tape_id, bar.start // MINUTE_US), 0, MINUTE_US - 1, *_values(bar, origin)


def _day_row(tape_id: int, day: int, bar: Bar, origin: Origin) -> tuple[Any, ...]:
    return tape_id, date.fromordinal(day), bar.start, bar.start + DAY_US - 1, *_values(bar, origin)


def _values(bar: Bar, origin: Origin) -> tuple[Any, ...]:
    """Returns the values of a bar in the order of VALUE_COLUMNS."""
    # A bar that was not recorded has no seq_ids.
    volume = min(round(bar.volume / VOLUME_UNIT), MAX_VOLUME)
    return bar.open, bar.high, bar.low, bar.close, bar.count or 0, 0, 0, volume, int(origin)


def find_tape(symbol: str, source: str) -> Tape:
    """Returns the tape of a symbol and a source. Creates the tape if necessary. Raises BarArchiveUnavailable."""
    with translate_errors():
        return Tape.objects.get_or_create(symbol=symbol, source=source)[0]


def note_fetched(tape_id: int, interval: int, end: int) -> None:
    """Notes that the bars of a tape were fetched up to `end`. Raises BarArchiveUnavailable.

    `interval` is the length of the bars in seconds. `end` is in unix microseconds.
    """
    column = "minutes_fetched_to" if interval == MINUTE_SECONDS else "days_fetched_to"
    with translate_errors():
        Tape.objects.filter(pk=tape_id).update(**{column: end})


def complete_past(tape_id: int) -> None:
    """Notes that a tape has its past bars, and that these bars have changed. Raises BarArchiveUnavailable.

    The recorder sees the change by the new `past_version`.
    """
    with translate_errors():
        Tape.objects.filter(pk=tape_id).update(has_past=True, past_version=F("past_version") + 1)
