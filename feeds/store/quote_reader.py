"""Reads quotes from Redis for the admin."""

import time
from collections.abc import Sequence
from typing import Any

import redis
from django.conf import settings

from feeds.errors import BadRecord
from feeds.store.connection import PROBE, connect
from feeds.store.keys import first_error, read_many, symbol_prefix
from feeds.wire import Update, decode, latest_timestamp, stock_key


def read_quotes(symbols: Sequence[str]) -> dict[str, Update] | None:
    """Returns a dict from symbol to quote. Leaves out symbols without a quote.

    Returns None if Redis or a node of a cluster is unreachable.
    """
    if not symbols:
        return {}
    client = connect(settings.REDIS, PROBE)
    try:
        prefix = symbol_prefix(client)
        values: list[Any] = read_many(client, [prefix(symbol) + stock_key(symbol) for symbol in symbols])
    except redis.RedisError:
        return None
    finally:
        client.close()
    if first_error(values) is not None:
        return None
    quotes = map(_decode, values)
    return {quote.symbol: quote for quote in quotes if quote is not None}


def _decode(value: bytes | None) -> Update | None:
    try:
        return None if value is None else decode(value, latest_timestamp(time.time_ns() // 1000))
    except BadRecord:
        return None
