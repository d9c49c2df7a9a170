"""Writes quotes to Redis and publishes them, in one atomic step.

A script in Redis compares updates with the stored quotes, so that no writer replaces a newer quote of another writer.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis

from feeds.store.batch import Batch, SymbolUpdates
from feeds.store.connection import Script
from feeds.wire import CHANNEL_PREFIX, STOCK_PREFIX, stock_key

WRITE_IF_NEWER = Path(__file__).with_name("write_if_newer.lua").read_text()


class QuoteWriter:
    """Writes quotes through one connection. Each thread needs its own writer.

    A quote expires if no update follows within `ttl`.
    """

    def __init__(self, client: redis.Redis, ttl: timedelta) -> None:
        self._client = client
        self._head = (ttl // timedelta(milliseconds=1), CHANNEL_PREFIX, len(STOCK_PREFIX))
        self._run = Script(client, WRITE_IF_NEWER)

    def write(self, batch: Batch) -> int:
        """Stores and publishes the updates that are newer than the stored quotes. Returns the number of these updates.

        Raises StoreUnavailable. The same batch may then be written again.
        """
        keys = [stock_key(symbol) for symbol in batch.by_symbol]
        return int(self._run(keys, [*self._head, *script_arguments(batch.by_symbol.values())]))

    def close(self) -> None:
        self._client.close()


def script_arguments(symbols: Iterable[SymbolUpdates]) -> list[Any]:
    """Returns the updates of these symbols as arguments of the script `write_if_newer.lua`."""
    arguments: list[Any] = []
    for updates in symbols:
        first, last, values = updates.first, updates.last, updates.values
        arguments += (len(values), first.timestamp, first.seq_id, last.timestamp, last.seq_id)
        arguments += values
    return arguments
