"""Judges limits of a Redis server. Pure."""

import re

from stockwatch.doctor.finding import Level

MIB = 1024 * 1024
LEAST_HARD_BYTES, LEAST_SOFT_BYTES = 16 * MIB, 4 * MIB
"""The smallest hard and soft limits for the output buffer of a subscriber. Redis has 32 MiB and 8 MiB by default."""
NEARLY_FULL = 0.9
KEEP_ALL = "set maxmemory-policy noeviction: another policy deletes quotes, bars and leases"


def read_version(text: str) -> tuple[int, ...]:
    """Returns the numbers of a version such as `7.2.4`."""
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def find_memory_fault(limit: int, used: int, policy: str) -> tuple[Level, str]:
    """Judges `maxmemory` and `maxmemory-policy` of a server. Returns the level of the result, and what to do.

    `limit` is `maxmemory` and `used` is the used memory, both in bytes. A `limit` of 0 means that there is no limit.
    """
    if policy != "noeviction":
        return (Level.FAIL if limit else Level.WARN), KEEP_ALL
    if limit and used > NEARLY_FULL * limit:
        return Level.FAIL, "raise maxmemory: Redis refuses all writes when it is reached"
    return Level.OK, ""


def find_buffer_fault(limits: str) -> str:
    """Returns what to do if the buffers of subscribers are too small, or an empty text if they are not.

    `limits` is the value of client-output-buffer-limit, such as `normal 0 0 0 pubsub 33554432 8388608 60`. Each class
    of clients has a hard and a soft limit in bytes, and a number of seconds for which it may exceed the soft limit.
    """
    found = re.search(r"pubsub (\d+) (\d+) (\d+)", limits)
    if found is None:
        return ""
    hard, soft = int(found[1]), int(found[2])
    if 0 < hard < LEAST_HARD_BYTES or 0 < soft < LEAST_SOFT_BYTES:
        return (
            "set client-output-buffer-limit pubsub 32mb 8mb 60: Redis disconnects gateways that are slow for a moment"
        )
    return ""
