"""Decides when a long-lived socket is closed, so that its client connects to another process. Pure."""

import math
import random

YOUNGEST_SHARE = 0.75
"""The shortest lifetime of a socket, as a share of the longest.

The clients of a lost process connect again within seconds. Random lifetimes prevent that they are all closed together.
"""
USED_SHARE = 0.1
"""The share of the accept rate at which sockets are closed."""
LONGEST_STEP_SECONDS = 2.0
"""After a longer pause, for example of a suspended process, the missed closes are not made up for at once."""


def choose_lifetime(max_age: float, rng: random.Random) -> float:
    """Returns after how many seconds a new socket is closed. If `max_age` is 0, the result is infinite."""
    return rng.uniform(YOUNGEST_SHARE, 1.0) * max_age if max_age else math.inf


def most_closes(accept_rate: float, seconds: float) -> int:
    """Returns how many sockets may be closed within `seconds`: at least one.

    `accept_rate` is in connections per second.
    """
    return max(1, int(accept_rate * USED_SHARE * min(seconds, LONGEST_STEP_SECONDS)))
