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
    """Returns how many seconds a drain of `connections` sockets takes.

    The result is at most `longest` and at least `least`. If `least` is greater than `longest`, the result is `least`.
    Within these bounds, the drain closes USED_SHARE times `accept_rate` sockets per second, so that the processes to
    which the clients then connect can accept all clients. `accept_rate` is in connections per second.
    """
    return max(least, min(longest, connections / (accept_rate * USED_SHARE)))


def spread(items: Sequence[Item], seconds: float, rng: random.Random) -> Iterator[tuple[float, Item]]:
    """Yields a delay in seconds for each item, as pairs of delay and item. The order of the items is random.

    The function divides `seconds` into equal parts, one part for each item. The delay of an item is a random moment in
    the item's part. Delays without these parts could by chance be close together, so that many clients would come at
    once.
    """
    for position, item in enumerate(rng.sample(items, len(items))):
        yield (position + rng.random()) * seconds / len(items), item
