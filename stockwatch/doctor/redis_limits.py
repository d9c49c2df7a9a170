"""Judges limits of a Redis server. Pure."""

import re

from stockwatch.doctor.finding import Level

MIB = 1024 * 1024
LEAST_HARD_BYTES, LEAST_SOFT_BYTES = 16 * MIB, 4 * MIB
"""The least buffers for a subscriber. The defaults of Redis are 32 MiB, and 8 MiB for 60 seconds."""
NEARLY_FULL = 0.9
KEEP_ALL = "set maxmemory-policy noeviction: another policy deletes quotes, bars and leases"


def read_version(text: str) -> tuple[int, ...]:
    """Returns the numbers of a version such as `7.2.4`."""
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def find_memory_fault(limit: int, used: int, policy: str) -> tuple[Level, str]:
    """Judges the limit of memory and what happens at the limit. Returns the level and what to do.

    `limit` and `used` are in bytes. A `limit` of 0 means that there is no limit.
    """
    if policy != "noeviction":
        return (Level.FAIL if limit else Level.WARN), KEEP_ALL
    if limit and used > NEARLY_FULL * limit:
        return Level.FAIL, "raise maxmemory: Redis refuses all writes when it is reached"
    return Level.OK, ""


def find_buffer_fault(limits: str) -> str:
    """Returns what to do if the buffers of subscribers are too small, or an empty text if they are not.

    `limits` is the value of client-output-buffer-limit: for each class its name, two numbers of bytes, and seconds.
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
