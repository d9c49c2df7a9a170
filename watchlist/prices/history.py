"""Reads the candles of one symbol's chart.

Recent bars come from Redis, older bars from the database. If Redis is unreachable, all bars come from the database. The
database lacks one-second bars and the newest minute.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import redis
import structlog
from django.db import connection

from feeds.bar_layout import MINUTES, SECONDS, BarRing
from feeds.models import DayBar, MinuteBar, Tape
from feeds.store.keys import symbol_prefix
from watchlist.prices.candles import MAX_CANDLES, Candle, CandleSeries, choose_step_minutes, join_candles
from watchlist.prices.quotes import redis_client

DAY = timedelta(days=1)
REDIS_TAIL_MINUTES = 10
"""How many minutes at the end of a long chart come from Redis."""

# A sum of integers can overflow in SQLite, so the volumes are added as floating-point numbers.
SELECT_JOINED_MINUTES = """
SELECT span.bucket, head."open", span.high, span.low, tail."close", span.total, span.volume
FROM (
    SELECT (id - %s) / %s AS bucket, MIN(id) AS head, MAX(id) AS tail, MAX(high) AS high, MIN(low) AS low,
        SUM("count") AS total, SUM(volume * 1.0) AS volume
    FROM feeds_minutebar WHERE id >= %s AND id < %s GROUP BY 1
) AS span
JOIN feeds_minutebar AS head ON head.id = span.head
JOIN feeds_minutebar AS tail ON tail.id = span.tail
ORDER BY 1
"""

log = structlog.get_logger(__name__)


def read_candles(symbol: str, span: timedelta | None, now: datetime, retention: timedelta) -> CandleSeries:
    """Returns the candles of the period of length `span` that ends at `now`.

    If `span` is None, the period begins with the first recorded update. `retention` is how long the database keeps
    one-minute bars.
    """
    timestamp = int(now.timestamp())
    if span is not None and span <= timedelta(seconds=SECONDS.slots):
        seconds = int(span.total_seconds())
        return CandleSeries(1, read_ring(SECONDS, symbol, timestamp - seconds + 1, timestamp))
    tape = _find_tape(symbol)
    if span is None or span > DAY:
        recorded = _recorded_span(tape, timestamp)
        # A shorter span gives shorter candles. The span is at least a day, because Redis has the bars of a day.
        span = recorded if span is None else min(span, max(recorded, DAY))
    if span > retention or (span > DAY and not _has_minutes(tape, timestamp // 60, span)):
        return _read_days(tape, now, span)
    return _read_minutes(symbol, tape, timestamp // 60, -(-span // timedelta(minutes=1)))


def read_minutes_of_step(symbol: str, first: datetime, step: int, now: datetime) -> list[Candle]:
    """Returns candles of `step` minutes from `first` to `now`, oldest first.

    `step` must divide the 1440 minutes of a day.
    """
    newest = int(now.timestamp()) // 60
    minutes = newest - int(first.timestamp()) // 60
    return _join_minutes(symbol, _find_tape(symbol), newest, max(1, minutes), step)


def read_market_days(symbol: str, first: date) -> list[Candle]:
    """Returns a candle for each market day from `first` on, oldest first.

    The start of a candle is midnight UTC of the date of its market day.
    """
    return _read_day_bars(_find_tape(symbol), first)


def read_close_before(symbol: str, first: date) -> float | None:
    """Returns the close of the last recorded market day before `first`; None if there is no such day."""
    bars = DayBar.objects.filter(tape=_find_tape(symbol), day__lt=first).order_by("-day")
    return bars.values_list("close", flat=True).first()


def _find_tape(symbol: str) -> Tape | None:
    return Tape.objects.of_current_sources().filter(symbol=symbol).first()


def _recorded_span(tape: Tape | None, timestamp: int) -> timedelta:
    """Returns how long a symbol has been recorded until `timestamp` (unix seconds): at least a minute."""
    first_at = DayBar.objects.filter(tape=tape).order_by("day").values_list("first_at", flat=True).first()
    return timedelta(minutes=1 if first_at is None else max(1, timestamp // 60 - first_at // 60_000_000 + 1))


def _has_minutes(tape: Tape | None, newest: int, span: timedelta) -> bool:
    """Returns whether one-minute bars cover the period of length `span` that ends at the minute `newest`.

    The first day of the period may lack bars. The result is True for a period of at most two days. `newest` is the
    number of a minute, counted from 1970.
    """
    if tape is None or span <= 2 * DAY:
        return True
    keys = MinuteBar.objects.filter(id__gte=MinuteBar.key(tape.pk, 0), id__lt=MinuteBar.key(tape.pk + 1, 0))
    oldest = keys.order_by("id").values_list("id", flat=True).first()
    # Before the recording began, there may be only one-day bars, which were fetched or simulated.
    first = newest - (span - DAY) // timedelta(minutes=1)
    return oldest is not None and oldest - MinuteBar.key(tape.pk, 0) <= first


def _read_minutes(symbol: str, tape: Tape | None, newest: int, minutes: int) -> CandleSeries:
    """Returns the candles of the last `minutes` minutes.

    `newest` is the number of the last minute, counted from 1970. Recent minutes come from Redis, and all earlier
    minutes from the database.
    """
    step = choose_step_minutes(minutes)
    return CandleSeries(step * 60, _join_minutes(symbol, tape, newest, minutes, step)[-MAX_CANDLES:])


def _join_minutes(symbol: str, tape: Tape | None, newest: int, minutes: int, step: int) -> list[Candle]:
    """Returns candles of `step` minutes, which cover the last `minutes` minutes.

    `newest` is the number of the last minute, counted from 1970.
    """
    first = (newest - minutes + 1) // step * step
    # Redis has the minutes of one day. For a longer time, Redis supplies only the minutes that the database may lack.
    first_in_redis = first if minutes <= MINUTES.slots else newest - REDIS_TAIL_MINUTES
    recent = read_ring(MINUTES, symbol, first_in_redis, newest)
    end = recent[0].start // 60 if recent else newest + 1
    older = _read_stored_minutes(tape, first, end, step) if tape is not None else []
    return join_candles([*older, *recent], step * 60)


def _read_stored_minutes(tape: Tape, first: int, end: int, step: int) -> list[Candle]:
    """Reads one-minute bars from the database and joins them to candles of `step` minutes.

    `first` is the number of the first minute, counted from 1970. `end` is the number of the last minute plus one.
    """
    if first >= end:
        return []
    base = MinuteBar.key(tape.pk, 0)
    with connection.cursor() as cursor:
        cursor.execute(SELECT_JOINED_MINUTES, [base, step, base + first, base + end])
        return [
            Candle(int(bucket) * step * 60, open_, high, low, close, int(count), int(volume))
            for bucket, open_, high, low, close, count, volume in cursor.fetchall()
        ]


def _read_days(tape: Tape | None, now: datetime, span: timedelta) -> CandleSeries:
    """Returns the candles of the market days in the period of length `span` before `now`.

    A market day is shown as the UTC day with the same date.
    """
    days = _read_day_bars(tape, (now - span).date())
    step = max(1, -(-len(days) // (MAX_CANDLES - 1))) * 86_400
    return CandleSeries(step, join_candles(days, step)[-MAX_CANDLES:])


def _read_day_bars(tape: Tape | None, first: date) -> list[Candle]:
    """Returns a candle for each market day from `first` on."""
    bars = DayBar.objects.filter(tape=tape, day__gte=first).order_by("day")
    rows = bars.values_list("day", "open", "high", "low", "close", "count", "volume")
    return [
        Candle(int(datetime.combine(day, time(), UTC).timestamp()), open_, high, low, close, count, volume)
        for day, open_, high, low, close, count, volume in rows
    ]


def read_ring(ring: BarRing, symbol: str, first: int, last: int) -> list[Candle]:
    """Reads bars of one length, such as a minute, from Redis.

    `first` and `last` are the numbers of the first and the last bar, counted from 1970. Returns an empty list if Redis
    is unreachable.
    """
    client = redis_client()
    key = symbol_prefix(client)(symbol) + ring.key(symbol)
    pipe = client.pipeline(transaction=False)
    for begin, end in ring.byte_ranges(first, last):
        pipe.getrange(key, begin, end)
    try:
        parts: list[Any] = pipe.execute()
    except redis.RedisError as error:
        log.warning("bars unavailable in Redis", symbol=symbol, error=type(error).__name__)
        return []
    return [
        Candle(start * ring.bar_seconds, slot.open, slot.high, slot.low, slot.close, slot.update_count, slot.volume)
        for start, slot in ring.unpack(b"".join(parts), first, last)
    ]
