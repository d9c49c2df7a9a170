"""Builds every Redis client, translates the client's errors, and runs Lua scripts.

A profile says how long a client waits and how often it retries. No client connects before its first command.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.retry import Retry

from feeds.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Profile:
    """How long a client waits, in seconds, and how often it retries a command.

    Retries follow at once; callers that can wait longer use `feeds.retry`.
    """

    socket_timeout: float
    connect_timeout: float
    retries: int


# The retry is for a pooled connection that broke while it was idle. Every call may be repeated.
PIPELINE = Profile(socket_timeout=2.0, connect_timeout=1.0, retries=1)
GATEWAY = Profile(socket_timeout=2.0, connect_timeout=2.0, retries=1)
PAGE = Profile(socket_timeout=1.0, connect_timeout=1.0, retries=1)
PROBE = Profile(socket_timeout=1.0, connect_timeout=1.0, retries=0)
"""For health checks and other clients that are closed after one command."""


def connect(address: Mapping[str, Any], profile: Profile = PIPELINE) -> redis.Redis:
    """Returns a client of the Redis at `host`, `port`, `password` and `db`."""
    return redis.Redis(**_options(address, profile), retry=Retry(NoBackoff(), profile.retries))


def connect_async(address: Mapping[str, Any], profile: Profile = GATEWAY) -> redis.asyncio.Redis:
    """Returns an asyncio client of the Redis at `host`, `port`, `password` and `db`."""
    retry = redis.asyncio.retry.Retry(NoBackoff(), profile.retries)
    return redis.asyncio.Redis(**_options(address, profile), retry=retry)


def connect_subscriber(options: Mapping[str, Any], retry: redis.asyncio.retry.Retry) -> redis.asyncio.Redis:
    """Returns an asyncio client for pub/sub, with the time-outs of redis-py.

    `options` are those of a host in CHANNEL_LAYERS. The channel layer passes its own `retry`, because it must see each
    lost connection.
    """
    return redis.asyncio.Redis(connection_pool=redis.asyncio.ConnectionPool(**options, retry=retry))


def _options(address: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    return {
        **address,
        # RESP3 makes redis-py format a log line for each pub/sub message.
        "protocol": 2,
        "socket_timeout": profile.socket_timeout,
        "socket_connect_timeout": profile.connect_timeout,
        "socket_keepalive": True,
    }


@contextmanager
def answering() -> Iterator[None]:
    """Turns errors of the Redis client into StoreUnavailable."""
    try:
        yield
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
