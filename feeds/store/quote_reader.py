"""The newest prices out of Redis, for the admin. Reads only; a Redis that is away is an answer."""

from collections.abc import Sequence
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from feeds.errors import BadRecord
from feeds.wire import Update, decode, stock_key

ANSWER_WITHIN = 1.0
"""Seconds."""


def read_newest(symbols: Sequence[str]) -> dict[str, Update] | None:
    """By symbol, those that have a price; None where Redis does not answer."""
    if not symbols:
        return {}
    client = redis.Redis(
        **settings.REDIS,
        protocol=2,
        socket_timeout=ANSWER_WITHIN,
        socket_connect_timeout=ANSWER_WITHIN,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        values: list[Any] = client.mget([stock_key(symbol) for symbol in symbols])
    except redis.RedisError:
        return None
    finally:
        client.close()
    updates = map(_read, values)
    return {update.symbol: update for update in updates if update is not None}


def _read(value: bytes | None) -> Update | None:
    try:
        return None if value is None else decode(value)
    except BadRecord:
        return None
