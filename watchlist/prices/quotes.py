"""Reads quotes from Redis, for pages and for the API.

A page receives later updates over the socket. If Redis is unreachable, no error is raised and `Quotes.available` is
False. Pages therefore work without Redis.
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
from feeds.wire import Update, decode, latest_timestamp, stock_key

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Quotes:
    """The result of reading quotes.

    `updates` is a dict from symbol to quote. Symbols without a quote are missing. `available` is False if Redis did not
    answer.
    """

    updates: Mapping[str, Update] = field(default_factory=dict)
    available: bool = True


def read_quotes(symbols: Sequence[str]) -> Quotes:
    """Reads the quotes of these symbols with one MGET command."""
    if not symbols:
        return Quotes()
    try:
        values: list[Any] = redis_client().mget([stock_key(symbol) for symbol in symbols])
    except redis.RedisError as error:
        log.warning("quotes unavailable in Redis", error=type(error).__name__)
        return Quotes(available=False)
    pairs = ((symbol, _decode_quote(symbol, value)) for symbol, value in zip(symbols, values, strict=True))
    return Quotes({symbol: update for symbol, update in pairs if update is not None})


def redis_client() -> redis.Redis:
    """Returns the Redis client of this process. The client connects to the server in `settings.REDIS`."""
    return _client(**settings.REDIS)


@lru_cache(maxsize=4)
def _client(**where: Any) -> redis.Redis:
    return connect(where, PAGE)


def _decode_quote(symbol: str, value: bytes | None) -> Update | None:
    """Decodes the value of `stock:SYMBOL`. Returns None if the value is not a quote of this symbol."""
    if value is None:
        return None
    try:
        update = decode(value, latest_timestamp(time.time_ns() // 1000))
    except BadRecord as error:
        log.warning("stored quote is invalid", symbol=symbol, reason=str(error))
        return None
    return update if update.symbol == symbol else None
