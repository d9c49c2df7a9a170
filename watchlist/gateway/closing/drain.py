"""Computes how long a drain takes, and when each socket is closed. Pure.

A drain closes all sockets of a process that is about to end. The accept rate is the number of connections that a
process can accept per second.
"""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

# The processes that accept the clients may be slower, and have clients of their own. With this share, no client must
# wait even if the measured rate is twice the real rate.
USED_SHARE = 0.5
"""A drain closes sockets at this share of the accept rate."""


def drain_seconds(connections: int, accept_rate: float, least: float, longest: float) -> float:
    """Returns how many seconds a drain of `connections` sockets takes: at least `least` and at most `longest`.

    `accept_rate` is in connections per second. If `least` is greater than `longest`, the result is `least`.
    """
    return max(least, min(longest, connections / (accept_rate * USED_SHARE)))


def spread(items: Sequence[Item], seconds: float, rng: random.Random) -> Iterator[tuple[float, Item]]:
    """Yields each item with a delay, as pairs of seconds and item. The order of the items is random.

    `seconds` is divided into equal parts, one for each item. The delay of an item is a random moment in its part.
    """
    # Without parts, delays could by chance be close together, so that many clients would come at once.
    for position, item in enumerate(rng.sample(items, len(items))):
        yield (position + rng.random()) * seconds / len(items), item
