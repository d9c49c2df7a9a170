from math import inf
from random import Random

import pytest

from watchlist.alerts.ladder import Ladder


def filled(*, rising: bool) -> Ladder:
    ladder = Ladder(rising=rising)
    for slot, level in enumerate([3.0, 1.0, 2.0, 2.0]):
        ladder.add(level, slot)
    return ladder


def test_a_rising_price_reaches_the_levels_at_or_below_it():
    ladder = filled(rising=True)
    assert ladder.next_level == 1.0
    assert set(ladder.reached(2.0)) == {1, 2, 3}
    assert list(ladder.reached(0.99)) == []


def test_a_falling_price_reaches_the_levels_at_or_above_it():
    ladder = filled(rising=False)
    assert ladder.next_level == 3.0
    assert set(ladder.reached(2.0)) == {0, 2, 3}
    assert list(ladder.reached(3.01)) == []


def test_an_empty_ladder_has_a_next_level_that_no_price_reaches():
    assert Ladder(rising=True).next_level == inf
    assert Ladder(rising=False).next_level == -inf


@pytest.mark.parametrize("rising", [True, False])
def test_of_equal_levels_the_one_of_the_slot_is_removed(rising: bool):
    ladder = filled(rising=rising)
    ladder.remove(2.0, 3)
    assert len(ladder) == 3
    assert set(ladder.reached(2.0)) == ({1, 2} if rising else {0, 2})


@pytest.mark.parametrize("rising", [True, False])
def test_many_changes_leave_the_same_levels_as_a_plain_list(rising: bool):
    rng, ladder, plain = Random(3), Ladder(rising=rising), []
    for slot in range(2_000):
        if plain and rng.random() < 0.4:
            level, old = plain.pop(rng.randrange(len(plain)))
            ladder.remove(level, old)
        plain.append((float(rng.randrange(50)), slot))
        ladder.add(*plain[-1])
        price = rng.randrange(50)
        assert set(ladder.reached(price)) == {s for lvl, s in plain if (lvl <= price if rising else lvl >= price)}
        assert ladder.next_level == (min if rising else max)(lvl for lvl, _ in plain)
