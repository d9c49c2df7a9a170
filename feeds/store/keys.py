"""Reads many keys at once, and makes the prefixes of key names.

On one server, names have no prefix. In a cluster, a prefix contains a tag. Keys with the same tag have the same slot.
"""

from collections.abc import Callable, Sequence
from typing import Any

import redis

from feeds.store.cluster.async_client import AsyncClusterClient
from feeds.store.cluster.client import ClusterClient
from feeds.store.cluster.slots import TAG_PREFIXES, tag_prefix


def is_cluster(client: Any) -> bool:
    """Returns whether `client` is a client of a cluster."""
    return isinstance(client, ClusterClient | AsyncClusterClient)


def symbol_prefix(client: Any) -> Callable[[str], str]:
    """Returns a function that takes a symbol and returns the prefix of the symbol's keys and channel.

    In a cluster the prefix is `{tag}.`. On one server it is empty.
    """
    return tag_prefix if is_cluster(client) else _no_prefix


def group_prefix(client: Any, group: str) -> str:
    """Returns the prefix of keys that one command or one script uses together.

    In a cluster the prefix is `{group}.`, which gives all these keys the same slot. On one server it is empty.
    """
    return f"{{{group}}}." if is_cluster(client) else ""


def all_prefixes(client: Any) -> tuple[str, ...]:
    """Returns all prefixes of symbols: one for each tag of a cluster, or an empty one on one server."""
    return TAG_PREFIXES if is_cluster(client) else ("",)


def read_many(client: redis.Redis, keys: Sequence[str]) -> list[Any]:
    """Returns the value of each key, or None if the key does not exist.

    On one server, raises RedisError if the server does not answer. In a cluster, the result for a key is a RedisError
    if the key's node does not answer.
    """
    if not keys:
        return []
    if isinstance(client, ClusterClient):
        return client.run_commands([(("GET", key), {}) for key in keys])
    values: Any = client.mget(keys)
    return list(values)


async def read_many_async(client: Any, keys: Sequence[str]) -> list[Any]:
    """Like `read_many`, with an asyncio client."""
    if not keys:
        return []
    if isinstance(client, AsyncClusterClient):
        return await client.run_commands([("GET", key) for key in keys])
    return list(await client.mget(keys))


def first_error(values: Sequence[Any]) -> redis.RedisError | None:
    """Returns the first RedisError among values that `read_many` returned, or None."""
    return next((value for value in values if isinstance(value, redis.RedisError)), None)


def raise_first_error(values: Sequence[Any]) -> None:
    """Raises the first RedisError among values, if there is one."""
    if (error := first_error(values)) is not None:
        raise error


def _no_prefix(_symbol: str) -> str:
    return ""
