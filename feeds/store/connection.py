"""Builds every Redis client, translates the client's errors, and runs Lua scripts.

A profile says how long a client waits and how often the client retries. No client connects before its first command.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from feeds.errors import StoreUnavailable
from feeds.store.cluster.async_client import AsyncClusterClient
from feeds.store.cluster.client import ClusterClient
from feeds.store.cluster.slots import Node, SlotMap
from feeds.store.master_connection import connection_classes, connection_options

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Profile:
    """How long a client waits, in seconds, and how often the client retries a command.

    Each retry follows immediately. Callers that can wait longer use `feeds.retry`.
    """

    socket_timeout: float
    connect_timeout: float
    retries: int


# The retry is for a pooled connection that broke while it was idle. Every call may be repeated.
PIPELINE = Profile(socket_timeout=2.0, connect_timeout=1.0, retries=1)
GATEWAY = Profile(socket_timeout=2.0, connect_timeout=2.0, retries=1)
OWNER = Profile(socket_timeout=1.0, connect_timeout=1.0, retries=1)
"""The profile for renewing leases and owned symbols, which expire after 3 s. The time-outs are shorter."""

PAGE = Profile(socket_timeout=1.0, connect_timeout=1.0, retries=1)
PROBE = Profile(socket_timeout=1.0, connect_timeout=1.0, retries=0)
"""The profile for health checks, for metrics, and for other clients that are closed after one command."""

SUBSCRIBER = Profile(socket_timeout=2.0, connect_timeout=2.0, retries=0)
"""The profile for pub/sub. Its time-outs apply to the handshake and to writes."""
KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
"""Socket options with which the kernel closes a dead connection after about 10 s.

Some systems lack some of these options.
"""
KEEPALIVE_OPTIONS = {getattr(socket, name): value for name, value in KEEPALIVE.items() if hasattr(socket, name)}


def connect(address: Mapping[str, Any], profile: Profile = PIPELINE, slots: SlotMap | None = None) -> redis.Redis:
    """Returns a client of a server or of a cluster.

    `stockwatch.redis_address.read_redis_address` describes the shape of `address`. Clients of a cluster may share
    `slots`.
    """
    if is_cluster_address(address):
        return ClusterClient(slots or make_slots(address), lambda node: _open(node_address(address, node), profile))
    return _open(address, profile)


def connect_async(address: Mapping[str, Any], profile: Profile = GATEWAY) -> redis.asyncio.Redis:
    """Returns an asyncio client of a server or of a cluster. `connect` describes the shape of `address`."""
    if is_cluster_address(address):
        return AsyncClusterClient(make_slots(address), lambda node: _open_async(node_address(address, node), profile))
    return _open_async(address, profile)


def is_cluster_address(address: Mapping[str, Any]) -> bool:
    """Returns whether `address` is the address of a cluster and not of one server."""
    return "nodes" in address


def make_slots(address: Mapping[str, Any]) -> SlotMap:
    """Returns an empty slot map of a cluster. Several clients can share the map."""
    return SlotMap(Node(host, port) for host, port in address["nodes"])


def node_address(address: Mapping[str, Any], node: Node) -> dict[str, Any]:
    """Returns the address of one node of the cluster at `address`."""
    common = {name: value for name, value in address.items() if name != "nodes"}
    return {"host": node.host, "port": node.port, **common}


def _open(address: Mapping[str, Any], profile: Profile) -> redis.Redis:
    retry = Retry(NoBackoff(), profile.retries)
    pool = redis.ConnectionPool(
        connection_class=connection_classes(address)[0], **_options(address, profile), retry=retry
    )
    return redis.Redis.from_pool(pool)


def _open_async(address: Mapping[str, Any], profile: Profile) -> redis.asyncio.Redis:
    retry = redis.asyncio.retry.Retry(NoBackoff(), profile.retries)
    pool = redis.asyncio.ConnectionPool(
        connection_class=connection_classes(address)[1], **_options(address, profile), retry=retry
    )
    return redis.asyncio.Redis.from_pool(pool)


def connect_subscriber(address: Mapping[str, Any], retry: redis.asyncio.retry.Retry) -> redis.asyncio.Redis:
    """Returns an asyncio client for pub/sub.

    `address` is the address of one host in CHANNEL_LAYERS. `retry` decides how often redis-py repeats a failed command.
    """
    pool = redis.asyncio.ConnectionPool(
        connection_class=connection_classes(address)[1], **_options(address, SUBSCRIBER), retry=retry
    )
    return redis.asyncio.Redis(connection_pool=pool)


def warn_of_shared_channels(address: Mapping[str, Any]) -> None:
    """Logs a warning if the database number is not 0. All databases of a server share their channels."""
    if database := address.get("db"):
        log.warning(
            "REDIS_DB separates keys, but not channels: give each installation its own Redis server", db=database
        )


def _options(address: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    limits = {
        # RESP3 makes redis-py format a log line for each pub/sub message.
        "protocol": 2,
        "socket_timeout": profile.socket_timeout,
        "socket_connect_timeout": profile.connect_timeout,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE_OPTIONS,
    }
    return connection_options(address, limits)


@contextmanager
def answering() -> Iterator[None]:
    """A context in which errors of the Redis client become StoreUnavailable."""
    try:
        yield
    except redis.exceptions.MovedError as error:
        raise StoreUnavailable("another node of the cluster serves this key: set REDIS_CLUSTER=true") from error
    except redis.RedisError as error:
        raise StoreUnavailable(f"{type(error).__name__}: {str(error)[:200]}") from error


class Script:
    """A Lua script that Redis runs.

    A call takes one round trip, or two if the server does not have the script in its cache.
    """

    def __init__(self, client: redis.Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: list[str], arguments: list[Any]) -> Any:
        """Runs the script and returns its result. Raises StoreUnavailable."""
        with answering():
            try:
                return self._client.evalsha(self._digest, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                return self._client.eval(self._text, len(keys), *keys, *arguments)

    def call_each(self, calls: Iterable[tuple[list[str], list[Any]]]) -> list[Any]:
        """Runs the script once for each pair of keys and arguments. Returns the results.

        On one server, raises StoreUnavailable at the first failure. In a cluster, makes all calls. The result of a
        failed call is then a RedisError.
        """
        if not isinstance(self._client, ClusterClient):
            return [self(keys, arguments) for keys, arguments in calls]
        rest = [(len(keys), *keys, *arguments) for keys, arguments in calls]
        with answering():
            replies = self._client.run_commands([(("EVALSHA", self._digest, *each), {}) for each in rest])
            unknown = [
                place for place, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)
            ]
            again = self._client.run_commands([(("EVAL", self._text, *rest[place]), {}) for place in unknown])
        for place, reply in zip(unknown, again, strict=True):
            replies[place] = reply
        return replies


async def repeat_reading(read: Callable[[], Awaitable[None]], seconds: float, what: str) -> None:
    """Calls `read`, waits `seconds` seconds, and repeats both until this task is cancelled.

    Errors of `read` are only logged. `what` begins the log line: `states of sources` gives
    `states of sources cannot be read`.
    """
    while True:
        try:
            await read()
        except (redis.RedisError, OSError) as error:
            log.debug(f"{what} cannot be read", reason=type(error).__name__)
        except Exception:
            log.exception(f"{what} cannot be read")
        await asyncio.sleep(seconds)
