"""The newest prices, read from Redis for the first paint of a page; after it they come over the socket.

Reads only. A Redis that is away is an answer here (`available` is false), not an error: the page stays up without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import redis
import structlog
from django.conf import settings

from feeds.errors import BadRecord
from feeds.store.connection import PAGE, connect
from feeds.wire import Update, decode, stock_key

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Quotes:
    """Newest updates by symbol; symbols without a price are not in it. `available`: Redis answered."""

    updates: Mapping[str, Update] = field(default_factory=dict)
    available: bool = True


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


def redis_client() -> redis.Redis:
    """The process's client of the Redis that the settings name now."""
    return _client(**settings.REDIS)


@lru_cache(maxsize=4)
def _client(**where: Any) -> redis.Redis:
    return connect(where, PAGE)


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
