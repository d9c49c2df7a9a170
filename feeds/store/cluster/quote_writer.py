"""Writes quotes to the nodes of a cluster and publishes them.

Each symbol has one of 64 tags. The quotes of all symbols with the same tag are on the same node. One atomic call of a
script writes all updates for a tag. All calls for one node go in one round trip.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import redis
from redis.exceptions import TryAgainError

from feeds.store.batch import Batch, SymbolUpdates
from feeds.store.cluster.slots import PREFIX_LENGTH, tag_prefix
from feeds.store.connection import Script, answering
from feeds.store.keys import is_cluster
from feeds.store.quote_writer import WRITE_IF_NEWER, QuoteWriter, script_arguments
from feeds.wire import CHANNEL_PREFIX, STOCK_PREFIX, stock_key

# With PUBLISH, each message would go to all nodes of the cluster.
SHARDED_WRITE = WRITE_IF_NEWER.replace("pcall('PUBLISH'", "pcall('SPUBLISH'")

Symbols = Sequence[tuple[str, SymbolUpdates]]


def open_quote_writer(client: redis.Redis, ttl: timedelta) -> QuoteWriter:
    """Returns a writer for a server or for a cluster."""
    return ClusterQuoteWriter(client, ttl) if is_cluster(client) else QuoteWriter(client, ttl)


class ClusterQuoteWriter(QuoteWriter):
    """Writes quotes to the nodes of a cluster."""

    def __init__(self, client: redis.Redis, ttl: timedelta) -> None:
        self._client = client
        self._ttl_ms = ttl // timedelta(milliseconds=1)
        self._write_tag = Script(client, SHARDED_WRITE)

    def write(self, batch: Batch) -> int:
        """Stores and publishes the updates that are newer than the stored quotes. Returns the number of these updates.

        If a node does not answer, writes the updates for the other nodes and raises StoreUnavailable. The same batch
        may then be written again.
        """
        by_prefix: dict[str, list[tuple[str, SymbolUpdates]]] = {}
        for symbol, updates in batch.by_symbol.items():
            by_prefix.setdefault(tag_prefix(symbol), []).append((symbol, updates))
        parts: list[Symbols] = list(by_prefix.values())
        replies = self._write_tag.call_each(map(self._make_call, parts))
        # While a slot is moved, its keys are on two nodes. A call with several keys may fail then. A call with one key
        # succeeds.
        split = [
            [pair] for part, reply in zip(parts, replies, strict=True) for pair in part if type(reply) is TryAgainError
        ]
        replies = [reply for reply in replies if type(reply) is not TryAgainError]
        replies += self._write_tag.call_each(map(self._make_call, split))
        with answering():
            return sum(int(reply) for reply in map(_check, replies))

    def _make_call(self, part: Symbols) -> tuple[list[str], list[Any]]:
        """Returns the keys and the arguments for one call of the script. All symbols of `part` have the same tag."""
        prefix = tag_prefix(part[0][0])
        head = (self._ttl_ms, prefix + CHANNEL_PREFIX, PREFIX_LENGTH + len(STOCK_PREFIX))
        arguments = [*head, *script_arguments(updates for _, updates in part)]
        return [prefix + stock_key(symbol) for symbol, _ in part], arguments


def _check(reply: Any) -> Any:
    if isinstance(reply, redis.RedisError):
        raise reply
    return reply
