"""Stores missed spans, and finds the recorded bars that the spans touch.

A missed span is a span of time in which trades of a symbol were lost. A tape is a pair: a symbol and the source of its
saved bars. A recorded bar is incomplete if a missed span of its tape touches the bar.
"""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import transaction

from feeds.history.transactions import translate_errors
from feeds.models import MINUTE_BITS, DayBar, MinuteBar, MissedSpan, Origin
from feeds.records import Span, unite

MINUTE_US = 60_000_000

MAX_SPANS_OF_TAPE = 1000
"""How many missed spans a tape keeps. If there are more, the oldest spans become one span."""


def save_spans(tape_id: int, spans: Iterable[Span]) -> None:
    """Adds missed spans to a tape. Spans that overlap become one span. Raises BarArchiveUnavailable."""
    with translate_errors(), transaction.atomic():
        rows = {Span(row.first, row.last): row for row in MissedSpan.objects.filter(tape_id=tape_id)}
        united = set(unite([*rows, *spans], MAX_SPANS_OF_TAPE))
        MissedSpan.objects.filter(pk__in=[row.pk for span, row in rows.items() if span not in united]).delete()
        new = sorted(united.difference(rows))
        MissedSpan.objects.bulk_create([MissedSpan(tape_id=tape_id, first=first, last=last) for first, last in new])


def read_spans(tape_id: int, since: int, until: int) -> list[Span]:
    """Returns the missed spans of a tape that touch the time from `since` to `until`, oldest first.

    Both times are in unix microseconds; `until` is excluded. Raises BarArchiveUnavailable.
    """
    with translate_errors():
        rows = MissedSpan.objects.filter(tape_id=tape_id, last__gte=since, first__lt=until).order_by("first")
        return [Span(first, last) for first, last in rows.values_list("first", "last")]


def touched_minutes(spans: Iterable[Span], begin: int, end: int) -> set[int]:
    """Returns the minutes between `begin` and `end` that missed spans touch, as numbers of minutes since 1970.

    `begin` and `end` are in unix microseconds; `end` is excluded.
    """
    clipped = ((max(span.first, begin), min(span.last, end - 1)) for span in spans)
    return {minute for first, last in clipped for minute in range(first // MINUTE_US, last // MINUTE_US + 1)}


class Incomplete(NamedTuple):
    """The oldest incomplete minute and the oldest incomplete day of a tape; None if there is no such bar.

    `minute` is the start of the minute. `day` is the time of the day's first update. Both are in unix microseconds.
    """

    minute: int | None = None
    day: int | None = None


def find_incomplete(tape_id: int, since: int) -> Incomplete:
    """Returns the oldest incomplete minute and the oldest incomplete day of a tape.

    Missed spans that end before `since`, in unix microseconds, are ignored. Raises BarArchiveUnavailable.
    """
    # A bar has no column that says whether it is incomplete: a span may be stored before or after the bars it touches.
    spans = read_spans(tape_id, since, 2**63 - 1)
    with translate_errors():
        minute = _oldest(_find_minute(tape_id, span, since) for span in spans)
        return Incomplete(minute, _oldest(_find_day(tape_id, span) for span in spans))


def _find_minute(tape_id: int, span: Span, since: int) -> int | None:
    """Returns the start of the oldest recorded minute that `span` touches, or None.

    Minutes that end before `since` are ignored. Times are in unix microseconds.
    """
    base = MinuteBar.key(tape_id, 0)
    first, last = max(span.first, since) // MINUTE_US, span.last // MINUTE_US
    rows = MinuteBar.objects.filter(id__gte=base + first, id__lte=base + last, origin=Origin.RECORDED)
    key = rows.order_by("id").values_list("id", flat=True).first()
    return None if key is None else (key - base) * MINUTE_US


def _find_day(tape_id: int, span: Span) -> int | None:
    """Finds the oldest recorded day that `span` touches. Returns the time of the day's first update, or None."""
    rows = DayBar.objects.filter(
        tape_id=tape_id, origin=Origin.RECORDED, last_at__gte=span.first, first_at__lte=span.last
    )
    return rows.order_by("day").values_list("first_at", flat=True).first()


def _oldest(moments: Iterable[int | None]) -> int | None:
    return min((moment for moment in moments if moment is not None), default=None)


def lacks_trades_of_minute(row: str) -> str:
    """Returns the SQL condition that a missed span touches a minute bar. `row` is the SQL name of the bar."""
    begin = f"({row}.id & {(1 << MINUTE_BITS) - 1}) * {MINUTE_US}"
    return _exists(f"{row}.id >> {MINUTE_BITS}", begin, f"{begin} + {MINUTE_US - 1}")


def lacks_trades_of_day(row: str) -> str:
    """Returns the SQL condition that a missed span touches a recorded day bar. `row` is the SQL name of the bar."""
    # A missed span begins or ends at a recorded update. Therefore each span of the day overlaps the time from the
    # day's first update to its last update.
    return _exists(f"{row}.tape_id", f"{row}.first_at", f"{row}.last_at")


def _exists(tape: str, begin: str, end: str) -> str:
    """Returns the SQL condition that a missed span of a tape overlaps the time from `begin` to `end`."""
    return (
        "EXISTS (SELECT 1 FROM feeds_missedspan AS missed "  # noqa: S608 - all names are constants
        f'WHERE missed.tape_id = ({tape}) AND missed."last" >= {begin} AND missed."first" <= {end})'
    )
