import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.feeder.trades.missing_ranges import MissingRanges

NUMBERS = st.integers(0, 30)


def test_adjacent_and_overlapping_ranges_become_one():
    ranges = MissingRanges()
    ranges.add(1, 3)
    ranges.add(7, 9)
    ranges.add(4, 7)

    assert ranges.size == 9
    assert ranges.bounds == (1, 9)
    assert ranges.remove(5)
    assert ranges.size == 8


def test_an_empty_set_is_false():
    ranges = MissingRanges()
    assert not ranges
    ranges.add(4, 4)
    assert ranges
    assert ranges.remove(4)
    assert not ranges


@pytest.mark.parametrize(("numbers", "size"), [([], 0), ([3], 1), ([3, 4, 5], 3), ([3, 4, 9, 2], 4)])
def test_single_numbers_can_be_added(numbers: list[int], size: int):
    ranges = MissingRanges()
    ranges.add_each(numbers)
    assert ranges.size == size


ACTIONS = st.one_of(
    st.tuples(st.just("add"), NUMBERS, NUMBERS),
    st.tuples(st.just("remove"), NUMBERS, NUMBERS),
    st.tuples(st.just("between"), NUMBERS, NUMBERS),
)


@given(st.lists(ACTIONS, max_size=30))
def test_it_equals_a_set_of_numbers(actions: list[tuple[str, int, int]]):
    ranges, model = MissingRanges(), set()
    for name, first, second in actions:
        low, high = min(first, second), max(first, second)
        if name == "add":
            ranges.add(low, high)
            model |= set(range(low, high + 1))
        elif name == "remove":
            assert ranges.remove(first) == (first in model)
            model.discard(first)
        else:
            inside = {number for number in model if low < number < high}
            assert ranges.remove_between(low, high) == len(inside)
            model -= inside
        assert ranges.size == len(model)
        assert bool(ranges) == bool(model)


def test_the_parts_between_two_numbers_leave_both_out():
    ranges = MissingRanges()
    ranges.add(1, 4)
    ranges.add(8, 9)

    assert ranges.between(2, 9) == [(3, 4), (8, 8)]
    assert ranges.between(4, 8) == []


def test_only_the_highest_ranges_are_kept():
    ranges = MissingRanges()
    ranges.add(1, 1)
    ranges.add(5, 6)
    ranges.add(9, 9)
    ranges.keep_highest(2)

    assert ranges.bounds == (5, 9)
