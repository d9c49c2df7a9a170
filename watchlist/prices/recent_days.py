"""Reads the newest market day of many symbols, with the close of each minute in the last hour.

Days that Redis lacks come from the database. If Redis is unreachable, all days come from the database. A day from the
database can lack the prices of the last minute, and has no minute closes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
import structlog
from django.db.models import OuterRef, Subquery

from feeds.bar_layout import MINUTES, NewestDay, day_key, decode_day
from feeds.errors import BadRecord, StoreUnavailable
from feeds.models import DayBar, Tape
from feeds.store.cluster.slots import tag_prefix
from feeds.store.connection import Script, answering
from feeds.store.keys import is_cluster
from watchlist.prices.day import SPARKLINE_POINTS, Day
from watchlist.prices.quotes import redis_client

log = structlog.get_logger(__name__)

READ_DAYS = Path(__file__).with_name("read_days.lua").read_text()

ByteRange = tuple[int, int]
"""The positions of the first and the last byte to read from the Redis value with a symbol's one-minute bars."""


def read_days(symbols: Sequence[str], now: datetime) -> Mapping[str, Day]:
    """Returns a dict that maps each symbol to its newest market day. Symbols without a recorded day are missing."""
    if not symbols:
        return {}
    try:
        days = _read_redis(symbols, now)
    except StoreUnavailable as error:
        log.warning("days unavailable in Redis", reason=str(error))
        return _read_database(symbols)
    missing = [symbol for symbol in symbols if symbol not in days]
    return {**_read_database(missing), **days} if missing else days


def _read_redis(symbols: Sequence[str], now: datetime) -> dict[str, Day]:
    last = int(now.timestamp()) // 60
    first = last - SPARKLINE_POINTS + 1
    ranges = MINUTES.byte_ranges(first, last)
    values, parts = _read_values(symbols, ranges)
    days = {}
    for place, symbol in enumerate(symbols):
        if (day := _decode_day(symbol, values[place])) is not None:
            data = b"".join(parts[place * len(ranges) : (place + 1) * len(ranges)])
            closes = MINUTES.unpack_closes(data, first, last)
            days[symbol] = Day(day.open, day.high, day.low, day.previous_close, closes, day.volume)
    return days


def _read_values(symbols: Sequence[str], ranges: Sequence[ByteRange]) -> tuple[list[Any], list[bytes]]:
    """Reads each symbol's encoded day and the bytes at `ranges` of its one-minute bars, in one round trip.

    Returns the days, and a flat list of the bytes: all parts of the first symbol, all parts of the second, and so on.
    """
    client = redis_client()
    if is_cluster(client):
        return _read_cluster(client, symbols, ranges)
    # A script takes less than half of the CPU time of a pipeline, whose commands are packed and parsed one by one.
    keys = [*map(day_key, symbols), *map(MINUTES.key, symbols)]
    found = Script(client, READ_DAYS)(keys, [position for pair in ranges for position in pair])
    return found[: len(symbols)], found[len(symbols) :]


def _read_cluster(
    client: redis.Redis, symbols: Sequence[str], ranges: Sequence[ByteRange]
) -> tuple[list[Any], list[bytes]]:
    pipe = client.pipeline(transaction=False)
    pipe.mget([tag_prefix(symbol) + day_key(symbol) for symbol in symbols])
    for symbol in symbols:
        for begin, end in ranges:
            pipe.getrange(tag_prefix(symbol) + MINUTES.key(symbol), begin, end)
    with answering():
        values, *parts = pipe.execute()
    return values, parts


def _decode_day(symbol: str, value: bytes | None) -> NewestDay | None:
    if value is None:
        return None
    try:
        return decode_day(value)
    except BadRecord as error:
        log.warning("stored day is invalid", symbol=symbol, reason=str(error))
        return None


def _read_database(symbols: Sequence[str]) -> dict[str, Day]:
    newest = DayBar.objects.filter(tape=OuterRef("pk")).order_by("-day").values("pk")[:1]
    tapes = Tape.objects.of_current_sources().filter(symbol__in=symbols)
    keys = tapes.annotate(newest=Subquery(newest)).values_list("newest", flat=True)
    bars = DayBar.objects.filter(pk__in=list(keys))
    rows = bars.values_list("tape__symbol", "open", "high", "low", "tape__previous_close", "volume")
    return {row[0]: Day(*row[1:5], volume=row[5]) for row in rows}
