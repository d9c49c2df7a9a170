"""Checks that the Redis user may run all commands that the programs need."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import redis

from feeds.bar_layout import DAY_PREFIX, MINUTES, SECONDS
from feeds.store.audit_reports import AUDIT_PREFIX
from feeds.store.feed_state import FEED_PREFIX
from feeds.store.keys import is_cluster
from feeds.wire import CHANNEL_PREFIX, RATE_LIMIT_PREFIX, STOCK_PREFIX
from stockwatch.doctor.finding import Finding, failed, passed

KEY_PREFIXES = (
    *(STOCK_PREFIX, RATE_LIMIT_PREFIX, SECONDS.prefix, MINUTES.prefix, DAY_PREFIX, FEED_PREFIX, AUDIT_PREFIX),
    *("lease:", "owner:", "owners:", "quotes:", "clients:", "alerts:", "throttle:"),
)
"""Prefixes of keys that the programs use. The Redis user needs rights on keys with each of these prefixes."""
ADVICE = "grant the user ~* &* +@all -@admin -@dangerous +info +config|get"


def check_rights(client: Any) -> Iterator[Finding]:
    """Runs each command on keys and on a channel that no program uses.

    The commands delete the keys that they create.
    """
    unused = f"doctor-{uuid4().hex}"
    keys: list[str] = []
    names: dict[str, None] = {}
    other: dict[str, str] = {}
    for command in list_commands(unused, is_cluster(client)):
        try:
            client.execute_command(*command)
        except redis.exceptions.NoPermissionError:
            if command[0] == "DEL":
                keys.append(command[1].replace(unused, "*"))
            else:
                names[command[0]] = None
        except redis.RedisError as error:
            other.setdefault(str(error), command[0])
    if keys:
        yield failed("redis rights", f"the user may not change keys: {', '.join(dict.fromkeys(keys))}", ADVICE)
    if names:
        yield failed("redis rights", f"the user may not run {', '.join(names)}", ADVICE)
    for reason, name in other.items():
        yield failed("redis rights", f"{name} fails: {reason}", "look at the log and the settings of the server")
    if not (keys or names or other):
        yield passed("redis rights", "reading, writing, scripts and channels work")


def list_commands(unused: str, sharded: bool) -> list[tuple[Any, ...]]:
    """Returns the commands to try. `unused` is a text that no key of the programs contains."""
    key = STOCK_PREFIX + unused
    publish = "SPUBLISH" if sharded else "PUBLISH"
    return [
        *(("DEL", prefix + unused) for prefix in KEY_PREFIXES),
        ("SET", key, "1", "PX", 1000),
        ("GET", key),
        ("GETRANGE", key, 0, 1),
        ("SETRANGE", key, 0, "1"),
        ("STRLEN", key),
        ("EXPIRE", key, 1),
        ("PEXPIRE", key, 1000),
        ("PTTL", key),
        ("MGET", key),
        ("DEL", key),
        ("HSET", key, "field", "1"),
        ("HGET", key, "field"),
        ("HMGET", key, "field"),
        ("HVALS", key),
        ("HGETALL", key),
        ("HDEL", key, "field"),
        ("INCR", key),
        ("DECR", key),
        ("DEL", key),
        ("ZADD", key, 1, "member"),
        ("ZCARD", key),
        ("ZRANGE", key, 0, 1),
        ("ZRANGEBYSCORE", key, 0, 1),
        ("ZREMRANGEBYSCORE", key, 0, 0),
        ("ZREM", key, "member"),
        ("DEL", key),
        ("EVAL", "return redis.call('TIME')[1]", 1, key),
        (publish, CHANNEL_PREFIX + unused, ""),
    ]
