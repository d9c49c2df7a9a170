"""Computes how long a drain takes, and when each socket is closed. Pure."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

USED_SHARE = 0.5
"""The share of the accept rate at which sockets are closed.

The processes that accept the clients may be slower, and have clients of their own. At this share, a measurement that is
wrong by half delays no client.
"""


def drain_seconds(connections: int, accept_rate: float, least: float, longest: float) -> float:
    """Returns how long a drain takes: so long that other processes of the same speed can accept all clients.

    `accept_rate` is in connections per second. The result is at least `least`. It is not above `longest`, unless
    `least` is above `longest`.
    """
    return max(least, min(longest, connections / (accept_rate * USED_SHARE)))


def spread(items: Sequence[Item], seconds: float, rng: random.Random) -> Iterator[tuple[float, Item]]:
    """Yields each item with a delay in seconds, in random order.

    The time is divided into as many equal parts as there are items. The delay of each item is a random moment of its
    own part. With independent random moments, many clients would sometimes come at once.
    """
    for position, item in enumerate(rng.sample(items, len(items))):
        yield (position + rng.random()) * seconds / len(items), item
