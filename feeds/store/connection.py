"""Connections to Redis, errors of the client as errors of the pipeline, and scripts that run there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha1
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from feeds.errors import StoreUnavailable


def connect(address: Mapping[str, Any]) -> redis.Redis:
    """A client of the Redis at `host`, `port`, `password` and `db`; it connects at the first command."""
    return redis.Redis(
        **address,
        protocol=2,
        socket_timeout=2.0,
        socket_connect_timeout=1.0,
        socket_keepalive=True,
        # One try more, at once: a connection that died while idle is no outage. Every call here may be repeated.
        retry=Retry(NoBackoff(), 1),
    )


@contextmanager
def answering() -> Iterator[None]:
    """Turns the client's errors into StoreUnavailable."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailable(f"{type(error).__name__}: {str(error)[:200]}") from error


class Script:
    """A script that costs one round trip; where the server does not know it (any more), a second one brings it."""

    def __init__(self, client: redis.Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: list[str], arguments: list[Any]) -> Any:
        """Raises StoreUnavailable."""
        with answering():
            try:
                return self._client.evalsha(self._digest, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                return self._client.eval(self._text, len(keys), *keys, *arguments)
