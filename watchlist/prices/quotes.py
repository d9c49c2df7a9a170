"""Reads quotes from Redis, for pages and for the API.

If Redis is unreachable, `read_quotes` raises no error, and `Quotes.available` is False.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import redis
import structlog
from django.conf import settings

from feeds.errors import BadRecord
from feeds.store.connection import PAGE, connect
from feeds.store.keys import first_error, read_many, symbol_prefix
from feeds.wire import Update, decode, latest_timestamp, stock_key

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Quotes:
    """The result of reading quotes.

    `updates` maps each symbol to its newest update. Symbols without an update are missing. `available` is False if
    Redis, or a node of a cluster, did not answer.
    """

    updates: Mapping[str, Update] = field(default_factory=dict)
    available: bool = True


def read_quotes(symbols: Sequence[str]) -> Quotes:
    """Reads the quotes of these symbols in one round trip.

    If a node of a Redis Cluster does not answer, the symbols on this node are missing, and `available` is False.
    """
    if not symbols:
        return Quotes()
    client = redis_client()
    prefix = symbol_prefix(client)
    try:
        values: list[Any] = read_many(client, [prefix(symbol) + stock_key(symbol) for symbol in symbols])
        error = first_error(values)
    except redis.RedisError as reason:
        values, error = [None] * len(symbols), reason
    if error is not None:
        log.warning("quotes unavailable in Redis", error=type(error).__name__)
    pairs = ((symbol, _decode_quote(symbol, value)) for symbol, value in zip(symbols, values, strict=True))
    return Quotes({symbol: update for symbol, update in pairs if update is not None}, available=error is None)


def redis_client() -> redis.Redis:
    """Returns the Redis client of this process. `settings.REDIS` names the server or the cluster."""
    return _client(**settings.REDIS)


@lru_cache(maxsize=4)
def _client(**where: Any) -> redis.Redis:
    return connect(where, PAGE)


def _decode_quote(symbol: str, value: object) -> Update | None:
    """Decodes the value of `stock:SYMBOL`. Returns None if the value is not a quote of this symbol."""
    if not isinstance(value, bytes):
        return None
    try:
        update = decode(value, latest_timestamp(time.time_ns() // 1000))
    except BadRecord as error:
        log.warning("stored quote is invalid", symbol=symbol, reason=str(error))
        return None
    return update if update.symbol == symbol else None
