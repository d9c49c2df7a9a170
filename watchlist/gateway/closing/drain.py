"""Computes how long a drain takes, and when each socket is closed. Pure."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

USED_SHARE = 0.5
"""A drain closes sockets at this share of the accept rate.

The processes that accept the clients may be slower, and have clients of their own. With this share, no client must wait
even if the measured rate is twice the real rate.
"""


def drain_seconds(connections: int, accept_rate: float, least: float, longest: float) -> float:
    """Returns how long a drain takes, in seconds. In this time, processes of the same speed can accept all clients.

    `accept_rate` is in connections per second. The result is at least `least` and at most `longest`. If `least` is
    greater than `longest`, the result is `least`.
    """
    return max(least, min(longest, connections / (accept_rate * USED_SHARE)))


def spread(items: Sequence[Item], seconds: float, rng: random.Random) -> Iterator[tuple[float, Item]]:
    """Yields a pair of a delay in seconds and an item, for each item in random order.

    The function divides `seconds` into equal parts, one part for each item. The delay of an item is a random moment in
    the item's part. Without these parts, many clients would sometimes come at once.
    """
    for position, item in enumerate(rng.sample(items, len(items))):
        yield (position + rng.random()) * seconds / len(items), item
