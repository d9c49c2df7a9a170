"""What is on record of prices, for pages: the day and the last hour of many symbols, and the chart of one.

Reads only: Redis for what is under way, the database for the rest. A Redis that is away is an answer here; then the
database says what it has, which lags by a minute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import redis
import structlog
from django.db import connection
from django.db.models import OuterRef, Subquery

from feeds import bar_layout
from feeds.errors import BadRecord
from feeds.models import DayBar, MinuteBar, Tape
from watchlist.prices.candles import MOST_POINTS, Candle, choose_step, join_candles
from watchlist.prices.day import Day
from watchlist.prices.quotes import redis_client

LINE = 60
"""Minutes of a sparkline."""

TAIL = 10
"""Minutes at the end of a long chart that are read from Redis: the database lags by one, by more while it is away."""

QUESTION = """
SELECT span.bucket, head."open", span.high, span.low, tail."close", span.total
FROM (
    SELECT (id - %s) / %s AS bucket, MIN(id) AS head, MAX(id) AS tail, MAX(high) AS high, MIN(low) AS low,
        SUM("count") AS total
    FROM feeds_minutebar WHERE id >= %s AND id < %s GROUP BY 1
) AS span
JOIN feeds_minutebar AS head ON head.id = span.head
JOIN feeds_minutebar AS tail ON tail.id = span.tail
ORDER BY 1
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chart:
    """At most 1,500 candles of `step` seconds each, oldest first; stretches without a price are left out."""

    step: int
    candles: Sequence[Candle]


def read_days(symbols: Sequence[str], now: datetime) -> Mapping[str, Day]:
    """The newest day of each symbol that has one, with the closes of the last hour, in one round trip.

    What Redis does not have comes from the database, without the hour.
    """
    if not symbols:
        return {}
    newest = int(now.timestamp()) // 60
    ranges = bar_layout.MINUTES.byte_ranges(newest - LINE, newest)
    pipe = redis_client().pipeline(transaction=False)
    pipe.mget([bar_layout.day_key(symbol) for symbol in symbols])
    for symbol in symbols:
        for begin, end in ranges:
            pipe.getrange(bar_layout.MINUTES.key(symbol), begin, end)
    try:
        values, *parts = pipe.execute()
    except redis.RedisError as error:
        log.warning("days are not readable: Redis does not answer", error=type(error).__name__)
        return _stored_days(symbols)
    days = {}
    for place, symbol in enumerate(symbols):
        if (day := _decode_day(symbol, values[place])) is not None:
            data = b"".join(parts[place * len(ranges) : (place + 1) * len(ranges)])
            line = bar_layout.MINUTES.unpack_closes(data, newest - LINE, newest)
            days[symbol] = Day(day.open, day.high, day.low, day.previous_close, line)
    missing = [symbol for symbol in symbols if symbol not in days]
    return {**_stored_days(missing), **days} if missing else days


def _decode_day(symbol: str, value: bytes | None) -> bar_layout.NewestDay | None:
    if value is None:
        return None
    try:
        return bar_layout.decode_day(value)
    except BadRecord as error:
        log.warning("a stored day is not readable", symbol=symbol, reason=str(error))
        return None


def _stored_days(symbols: Sequence[str]) -> dict[str, Day]:
    last = DayBar.objects.filter(tape=OuterRef("pk")).order_by("-day").values("pk")[:1]
    keys = Tape.objects.filter(symbol__in=symbols).annotate(last=Subquery(last)).values_list("last", flat=True)
    rows = DayBar.objects.filter(pk__in=list(keys))
    figures = rows.values_list("tape__symbol", "open", "high", "low", "tape__previous_close")
    return {row[0]: Day(*row[1:]) for row in figures}


def read_chart(symbol: str, span: timedelta | None, now: datetime, kept: timedelta) -> Chart:
    """The last `span` of a symbol, None for all there is; minutes are `kept` for so long, days for ever."""
    moment = int(now.timestamp())
    if span is not None and span <= timedelta(seconds=bar_layout.SECONDS.slots):
        length = int(span.total_seconds())
        return Chart(1, _read_ring(bar_layout.SECONDS, symbol, moment - length + 1, moment))
    tape = Tape.objects.filter(symbol=symbol).first()
    if span is None:
        first = DayBar.objects.filter(tape=tape).order_by("day").values_list("first_at", flat=True).first()
        span = timedelta(minutes=1 if first is None else max(1, moment // 60 - first // 60_000_000 + 1))
    if span > kept:
        return _read_long(tape, now, span)
    # The minute under way is one of them: a day has as many as the ring.
    return _read_minutes(symbol, tape, moment // 60, -(-span // timedelta(minutes=1)))


def _read_minutes(symbol: str, tape: Tape | None, newest: int, minutes: int) -> Chart:
    """A day from Redis alone; more from the database, and its end from Redis."""
    step = choose_step(minutes)
    first = (newest - minutes + 1) // step * step
    recent = _read_ring(
        bar_layout.MINUTES, symbol, first if minutes <= bar_layout.MINUTES.slots else newest - TAIL, newest
    )
    until = recent[0].start // 60 if recent else newest + 1
    older = _read_stored(tape, first, until, step) if tape is not None else []
    return Chart(step * 60, join_candles([*older, *recent], step * 60)[-MOST_POINTS:])


def _read_stored(tape: Tape, first: int, until: int, step: int) -> list[Candle]:
    """Candles of `step` minutes from one minute up to another, that one not included."""
    if first >= until:
        return []
    base = MinuteBar.key(tape.pk, 0)
    with connection.cursor() as cursor:
        cursor.execute(QUESTION, [base, step, base + first, base + until])
        return [
            Candle(int(bucket) * step * 60, opened, high, low, close, int(count))
            for bucket, opened, high, low, close, count in cursor.fetchall()
        ]


def _read_long(tape: Tape | None, now: datetime, span: timedelta) -> Chart:
    """Out of days; a day counts as a day of UTC here, whenever it began."""
    rows = DayBar.objects.filter(tape=tape, day__gte=(now - span).date()).order_by("day")
    figures = rows.values_list("day", "open", "high", "low", "close", "count")
    days = [
        Candle(int(datetime.combine(day, time(), UTC).timestamp()), opened, high, low, close, count)
        for day, opened, high, low, close, count in figures
    ]
    step = max(1, -(-len(days) // (MOST_POINTS - 1))) * 86_400
    return Chart(step, join_candles(days, step)[-MOST_POINTS:])


def _read_ring(ring: bar_layout.BarRing, symbol: str, first: int, last: int) -> list[Candle]:
    pipe = redis_client().pipeline(transaction=False)
    for begin, end in ring.byte_ranges(first, last):
        pipe.getrange(ring.key(symbol), begin, end)
    try:
        parts: list[Any] = pipe.execute()
    except redis.RedisError as error:
        log.warning("bars are not readable: Redis does not answer", error=type(error).__name__)
        return []
    return [
        Candle(start * ring.bar_seconds, slot.open, slot.high, slot.low, slot.close, slot.update_count)
        for start, slot in ring.unpack(b"".join(parts), first, last)
    ]
