"""The newest prices, days and last hours, read from Redis for the first paint; after it prices come over the socket.

Reads only. A Redis that is away is an answer here (`available` is false), not an error: the page stays up without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from feeds.errors import BadRecord
from feeds.wire import MINUTES, Update, day_key, decode, decode_day, stock_key
from watchlist.rows import Day

ANSWER_WITHIN = 1.0
"""Seconds that a page waits for Redis."""
LINE_MINUTES = 60
"""Minutes of a row's sparkline."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Quotes:
    """Newest updates, and days, by symbol; what is not known is not in them. `available`: Redis answered."""

    updates: Mapping[str, Update] = field(default_factory=dict)
    available: bool = True
    days: Mapping[str, Day] = field(default_factory=dict)


def read_quotes(symbols: Sequence[str]) -> Quotes:
    """One MGET, whatever the number of symbols."""
    if not symbols:
        return Quotes()
    try:
        values: list[Any] = redis_client().mget([stock_key(symbol) for symbol in symbols])
    except redis.RedisError as error:
        log.warning("prices are not readable: Redis does not answer", error=type(error).__name__)
        return Quotes(available=False)
    pairs = ((symbol, _read_update(symbol, value)) for symbol, value in zip(symbols, values, strict=True))
    return Quotes({symbol: update for symbol, update in pairs if update is not None})


def read_market(symbols: Sequence[str], minute: int) -> Quotes:
    """Prices, days and the closes of the hour that ends with `minute` (since 1970), in one round trip."""
    if not symbols:
        return Quotes()
    ranges = MINUTES.ranges(minute - LINE_MINUTES + 1, minute)
    pipe = redis_client().pipeline(transaction=False)
    pipe.mget([stock_key(symbol) for symbol in symbols])
    pipe.mget([day_key(symbol) for symbol in symbols])
    for symbol in symbols:
        for begin, end in ranges:
            pipe.getrange(MINUTES.key(symbol), begin, end)
    try:
        prices, days, *parts = pipe.execute()
    except redis.RedisError as error:
        log.warning("prices are not readable: Redis does not answer", error=type(error).__name__)
        return Quotes(available=False)
    many = len(ranges)
    updates, known = {}, {}
    for at, symbol in enumerate(symbols):
        update = _read_update(symbol, prices[at])
        if update is not None:
            updates[symbol] = update
        known[symbol] = _read_day(symbol, days[at], b"".join(parts[at * many : (at + 1) * many]), minute)
    return Quotes(updates, days=known)


def redis_client() -> redis.Redis:
    """The process's client of the Redis that the settings name now."""
    return _client(**settings.REDIS)


@lru_cache(maxsize=4)
def _client(**where: Any) -> redis.Redis:
    return redis.Redis(
        **where,
        protocol=2,
        socket_connect_timeout=ANSWER_WITHIN,
        socket_timeout=ANSWER_WITHIN,
        # Once more at once, for a pooled connection that a restart of Redis cut; the default would wait for seconds.
        retry=Retry(NoBackoff(), 1),
    )


def _read_day(symbol: str, value: bytes | None, ring: bytes, minute: int) -> Day:
    line = tuple(slot.close for _, slot in MINUTES.read(ring, minute - LINE_MINUTES + 1, minute))
    if value is None:
        return Day(line=line)
    try:
        day = decode_day(value)
    except BadRecord as error:
        log.warning("a stored day is not readable", symbol=symbol, reason=str(error))
        return Day(line=line)
    return Day(day.open, day.high, day.low, day.previous_close, line)


def _read_update(symbol: str, value: bytes | None) -> Update | None:
    """None where there is no price, or another program wrote something else there."""
    if value is None:
        return None
    try:
        update = decode(value)
    except BadRecord as error:
        log.warning("a stored price is not readable", symbol=symbol, reason=str(error))
        return None
    return update if update.symbol == symbol else None
