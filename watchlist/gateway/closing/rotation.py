"""Decides when rotation closes a socket, so that the client connects to another process. Pure."""

import math
import random

YOUNGEST_SHARE = 0.75
"""The shortest lifetime of a socket, as a share of the longest lifetime.

If a process dies, its clients connect again within seconds. Without random lifetimes, all these sockets would later be
closed at once.
"""
USED_SHARE = 0.1
"""Rotation closes sockets at no more than this share of the accept rate."""
LONGEST_STEP_SECONDS = 2.0
"""The most seconds that count between two steps of the rotation.

After a longer pause, for example of a suspended process, one step closes no more sockets than after this time.
"""


def choose_lifetime(max_age: float, rng: random.Random) -> float:
    """Returns a random lifetime for a new socket, in seconds. The result is at most `max_age`.

    If `max_age` is 0, the result is infinite.
    """
    return rng.uniform(YOUNGEST_SHARE, 1.0) * max_age if max_age else math.inf


def most_closes(accept_rate: float, seconds: float) -> int:
    """Returns how many sockets one step of the rotation may close. The result is at least 1.

    `accept_rate` is in connections per second. `seconds` is the time since the previous step.
    """
    return max(1, int(accept_rate * USED_SHARE * min(seconds, LONGEST_STEP_SECONDS)))
