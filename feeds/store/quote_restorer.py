"""Restores quotes after Redis has lost its data, without publishing them."""

import time
from collections.abc import Callable, Iterable
from datetime import timedelta

import redis

from feeds.store.batch import EncodedUpdate
from feeds.store.connection import answering
from feeds.store.keys import all_prefixes, raise_first_error, read_many, symbol_prefix
from feeds.wire import stock_key

MARKER = "quotes:complete"
"""A key that exists in each Redis whose quotes are complete. Redis loses the key when it loses its data.

A cluster has one such key for each tag.
"""

CHUNK = 500
"""How many quotes one round trip writes."""


class QuoteRestorer:
    """Finds out whether Redis has lost its quotes, and writes quotes that are missing.

    A quote expires `ttl` after its timestamp. `now` returns unix seconds.
    """

    def __init__(self, client: redis.Redis, ttl: timedelta, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._ttl_ms = ttl // timedelta(milliseconds=1)
        self._now = now
        self._prefix = symbol_prefix(client)
        self._markers = [prefix + MARKER for prefix in all_prefixes(client)]

    def are_lost(self) -> bool:
        """Returns whether Redis, or a node of a cluster, has lost its quotes.

        The quotes count as lost if MARKER is missing. Raises StoreUnavailable.
        """
        with answering():
            values = read_many(self._client, self._markers)
            raise_first_error(values)
        return None in values

    def restore(self, quotes: Iterable[EncodedUpdate]) -> int:
        """Writes the quotes of symbols that have no quote in Redis. Returns the number of written quotes.

        Publishes nothing, because subscribers have got these updates before. Leaves out expired quotes. Raises
        StoreUnavailable.
        """
        now_ms = int(self._now() * 1000)
        commands = [
            (self._prefix(update.symbol) + stock_key(update.symbol), value, remaining)
            for update, value in quotes
            if (remaining := min(self._ttl_ms, self._ttl_ms + update.timestamp // 1000 - now_ms)) > 0
        ]
        return sum(self._write(commands[at : at + CHUNK]) for at in range(0, len(commands), CHUNK))

    def _write(self, commands: list[tuple[str, bytes, int]]) -> int:
        with answering():
            pipeline = self._client.pipeline(transaction=False)
            for key, value, remaining in commands:
                # A worker may have written a newer quote meanwhile.
                pipeline.set(key, value, px=remaining, nx=True)
            return sum(bool(reply) for reply in pipeline.execute())

    def mark(self) -> None:
        """Writes MARKER, which says that the quotes in Redis are complete. Raises StoreUnavailable."""
        with answering():
            pipeline = self._client.pipeline(transaction=False)
            for marker in self._markers:
                pipeline.set(marker, 1)
            pipeline.execute()

    def close(self) -> None:
        self._client.close()
