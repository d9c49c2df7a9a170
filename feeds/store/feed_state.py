"""Stores the state of each source in Redis, where gateways read it.

The Redis string `feed:SOURCE` holds a FeedState as JSON, and expires after ten seconds.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import redis

from feeds.store.connection import answering
from feeds.store.keys import group_prefix

FEED_PREFIX = "feed:"
FEED_GROUP = "feed"
TTL_MS = 10_000
MAX_STATE_BYTES = 1024 * 1024


class FeedState(msgspec.Struct, frozen=True):
    """The state of a source.

    `state` is a value of `feeds.sources.events.SourceState`, and `since` is the time at which this state began.
    `last_message` is the time of the last message, or 0 before the first message. Times are in unix microseconds.
    `symbols` is a dict from a symbol state, such as `unknown`, to the symbols in this state. Symbols in the usual state
    `trading` are left out.
    """

    state: str
    reason: str
    since: int
    last_message: int
    symbols: Mapping[str, list[str]] = {}


_decode = msgspec.json.Decoder(FeedState).decode


class FeedStateStore:
    """Writes, reads and deletes the states of sources in Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._prefix = feed_prefix(client)

    def write(self, states: Mapping[str, FeedState]) -> None:
        """Stores the states of sources for the next ten seconds. Raises StoreUnavailable."""
        with answering():
            pipeline = self._client.pipeline(transaction=False)
            for source, state in states.items():
                pipeline.set(self._prefix + source, msgspec.json.encode(state), px=TTL_MS)
            pipeline.execute()

    def read(self, sources: Collection[str]) -> dict[str, FeedState]:
        """Returns a dict from source to state. Raises StoreUnavailable.

        Leaves out a source without a valid state in Redis.
        """
        names = list(sources)
        if not names:
            return {}
        with answering():
            values: list[Any] = self._client.mget([self._prefix + name for name in names])
        states = {name: decode_state(value) for name, value in zip(names, values, strict=True)}
        return {name: state for name, state in states.items() if state is not None}

    def remove(self, sources: Collection[str]) -> None:
        """Deletes the states of sources. Raises StoreUnavailable.

        Call this method when the feeder of these sources ends.
        """
        if sources:
            with answering():
                self._client.delete(*(self._prefix + source for source in sources))


def feed_prefix(client: Any) -> str:
    """Returns the prefix of the keys that hold the states of sources.

    In a cluster, all these keys have the same slot.
    """
    return group_prefix(client, FEED_GROUP) + FEED_PREFIX


def decode_state(value: bytes | None) -> FeedState | None:
    """Decodes a value of Redis. Returns None if the value is no valid state."""
    if value is None or len(value) > MAX_STATE_BYTES:
        return None
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
