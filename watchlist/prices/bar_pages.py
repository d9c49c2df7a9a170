"""Reads the bars of a symbol in any period, in pages.

The newest minutes come from Redis, all other bars from the database. If Redis is unreachable, all bars come from the
database. The newest one-day bar can lack the prices of the last minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from feeds.bar_layout import MINUTES
from feeds.models import DayBar, MinuteBar, Tape
from watchlist.prices.candles import Candle
from watchlist.prices.history import REDIS_TAIL_MINUTES, read_ring

MINUTE_SECONDS, DAY_SECONDS = 60, 86_400
MAX_BARS = 1_500
"""The maximum number of bars of a page."""
MAX_SECONDS = 253_402_300_799
"""The greatest unix time that has a date: the end of the year 9999."""


@dataclass(frozen=True, slots=True)
class BarPage:
    """Some bars, oldest first. `next_start` is the start of the next bar in unix seconds; None if there is none."""

    bars: Sequence[Candle]
    next_start: int | None


def read_bar_page(symbol: str, step: int, first: int, until: int, limit: int, now: datetime) -> BarPage:
    """Returns the first `limit` bars that start at `first` or later and before `until`, both in unix seconds.

    `step` is the length of a bar: MINUTE_SECONDS or DAY_SECONDS. A market day counts as the UTC day with the same date.
    """
    tape = Tape.objects.of_current_sources().filter(symbol=symbol).first()
    if step == DAY_SECONDS:
        bars = _read_days(tape, first, until, limit + 1)
    else:
        bars = _read_minutes(symbol, tape, first, min(until, int(now.timestamp()) + 1), limit + 1, now)
    return BarPage(bars[:limit], bars[limit].start if len(bars) > limit else None)


def _read_minutes(symbol: str, tape: Tape | None, first: int, until: int, limit: int, now: datetime) -> list[Candle]:
    """Returns the first `limit` one-minute bars that start at `first` or later and before `until` (unix seconds)."""
    begin, end = _round_up(first, MINUTE_SECONDS), _round_up(until, MINUTE_SECONDS)
    begin_in_redis = max(begin, int(now.timestamp()) // MINUTE_SECONDS - REDIS_TAIL_MINUTES)
    recent = read_ring(MINUTES, symbol, begin_in_redis, end - 1) if begin_in_redis < end else []
    end_stored = recent[0].start // MINUTE_SECONDS if recent else end
    stored = _read_stored_minutes(tape, begin, end_stored, limit) if tape is not None else []
    return [*stored, *recent][:limit]


def _read_stored_minutes(tape: Tape, begin: int, end: int, limit: int) -> list[Candle]:
    if begin >= end:
        return []
    base = MinuteBar.key(tape.pk, 0)
    bars = MinuteBar.objects.filter(id__gte=base + begin, id__lt=base + end).order_by("id")
    rows = bars.values_list("id", "open", "high", "low", "close", "count", "volume")[:limit]
    return [Candle((key - base) * MINUTE_SECONDS, *figures) for key, *figures in rows]  # type: ignore[arg-type]


def _read_days(tape: Tape | None, first: int, until: int, limit: int) -> list[Candle]:
    begin, end = _round_up(first, DAY_SECONDS), _round_up(until, DAY_SECONDS)
    last = min(end - 1, MAX_SECONDS // DAY_SECONDS)
    if tape is None or begin > last:
        return []
    bars = DayBar.objects.filter(tape=tape, day__gte=_date_of(begin), day__lte=_date_of(last)).order_by("day")
    rows = bars.values_list("day", "open", "high", "low", "close", "count", "volume")[:limit]
    return [Candle(_start_of(day), *figures) for day, *figures in rows]  # type: ignore[arg-type]


def _round_up(seconds: int, step: int) -> int:
    """Returns the number of the first step that begins at `seconds` or later. Steps are counted from 1970."""
    return -(-seconds // step)


def _date_of(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


def _start_of(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_SECONDS
