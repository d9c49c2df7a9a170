"""Decides how old a socket may become, and how many old sockets are closed in one step. Pure.

Rotation closes old sockets, so that their clients connect to other processes. The accept rate is the number of
connections that a process can accept per second.
"""

import math
import random

# If a process dies, its clients connect again within seconds. Without random lifetimes, all these sockets would later
# be closed at once.
YOUNGEST_SHARE = 0.75
"""The shortest lifetime of a socket, as a share of the longest lifetime."""
USED_SHARE = 0.1
"""Rotation closes sockets at no more than this share of the accept rate."""
LONGEST_STEP_SECONDS = 2.0
"""The most seconds that count between two steps of the rotation, even if the process was suspended for longer."""


def choose_lifetime(max_age: float, rng: random.Random) -> float:
    """Returns a random lifetime of at most `max_age` seconds for a new socket.

    If `max_age` is 0, the result is infinite.
    """
    return rng.uniform(YOUNGEST_SHARE, 1.0) * max_age if max_age else math.inf


def most_closes(accept_rate: float, seconds: float) -> int:
    """Returns how many sockets one step of the rotation may close. The result is at least 1.

    `accept_rate` is in connections per second. `seconds` is the time since the previous step.
    """
    return max(1, int(accept_rate * USED_SHARE * min(seconds, LONGEST_STEP_SECONDS)))
