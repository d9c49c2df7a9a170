import math
from random import Random

import pytest

from watchlist.gateway.closing.rotation import choose_lifetime, most_closes


def test_lifetimes_are_random_up_to_a_quarter_below_the_longest():
    rng = Random(5)
    lifetimes = [choose_lifetime(3600.0, rng) for _ in range(1000)]
    assert 2700 <= min(lifetimes) < 2720
    assert 3580 < max(lifetimes) <= 3600


def test_without_a_longest_age_a_socket_lives_forever():
    assert choose_lifetime(0.0, Random(5)) == math.inf


@pytest.mark.parametrize(
    ("accept_rate", "seconds", "most"), [(600.0, 1.0, 60), (600.0, 1.5, 90), (600.0, 60.0, 120), (50.0, 0.0, 1)]
)
def test_a_tenth_of_the_accept_rate_is_used(accept_rate, seconds, most):
    assert most_closes(accept_rate, seconds) == most
