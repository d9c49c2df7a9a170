from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.recorder import bars
from feeds.recorder.bars import Bar
from feeds.wire import Update

PRICES = st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0])


def update(number: int, at: int | None = None, price: float = 1.5) -> Update:
    return Update("AAPL", price, number if at is None else at, number)


def bar_of(updates: Iterable[Update]) -> Bar:
    bar = Bar(7)
    for each in updates:
        bar.add(each)
    return bar


def figures_of(updates: Iterable[Update]) -> tuple[float, float, float, float, int]:
    """What a bar must be: written down from the set of its updates."""
    once = sorted({each.order: each for each in updates}.values(), key=lambda each: each.order)
    prices = [each.price for each in once]
    return prices[0], max(prices), min(prices), prices[-1], len(once)


@st.composite
def feeds(draw: st.DrawFn) -> list[Update]:
    """One feed within a bar: numbers grow, some are missing; times mostly grow with them, and some were set back."""
    numbers = draw(st.lists(st.integers(1, 60), min_size=1, unique=True).map(sorted))
    times = draw(st.lists(st.integers(0, 40), min_size=len(numbers), max_size=len(numbers)))
    if draw(st.booleans()):
        times.sort()
    return [update(number, at, draw(PRICES)) for number, at in zip(numbers, times, strict=True)]


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Update], list[Update]]:
    """A feed, and how it arrives: in any order, and parts of it again."""
    feed = draw(feeds())
    again = draw(st.lists(st.sampled_from(feed)))
    return feed, draw(st.permutations([*feed, *again]))


@given(arrivals())
def test_a_bar_depends_on_nothing_but_the_set_of_its_updates(case: tuple[list[Update], list[Update]]):
    feed, arrived = case
    assert bar_of(arrived).figures == figures_of(feed)
    assert bar_of(arrived).state == bar_of(feed).state


@given(feeds(), st.data())
def test_a_replay_of_any_suffix_changes_nothing(feed: list[Update], data: st.DataObject):
    bar = bar_of(feed)
    before = bar.state
    assert not any(bar.add(each) for each in feed[data.draw(st.integers(0, len(feed))) :])
    assert bar.state == before


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.data())
def test_a_foreign_feed_that_starts_at_one_again_is_counted_whole_and_replayed_without_effect(
    lengths: list[int], data: st.DataObject
):
    numbers = [number for length in lengths for number in range(1, length + 1)]
    feed = [update(number, at) for at, number in enumerate(numbers)]
    bar = bar_of(feed)
    before = bar.state
    assert bar.count == len(feed)
    assert not any(bar.add(each) for each in feed[data.draw(st.integers(0, len(feed))) :])
    assert bar.state == before


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), PRICES), min_size=1))
def test_prices_are_right_whatever_the_numbers(raw: list[tuple[int, int, float]]):
    unique = {(at, number): update(number, at, price) for number, at, price in raw}
    bar = bar_of(unique.values())
    assert bar.figures[:4] == figures_of(unique.values())[:4]
    assert bar.count <= len(unique)


def test_a_feed_without_gaps_is_remembered_by_its_ends():
    bar = bar_of(update(number) for number in (5, 6, 7, 4, 9, 8))
    assert bar.runs is None
    assert (bar.first_seq, bar.last_seq, bar.count) == (4, 9, 6)


def test_updates_of_one_moment_are_ordered_by_their_numbers():
    assert bar_of([update(2, 10, 2.0), update(1, 10, 1.0), update(3, 10, 3.0)]).figures == (1.0, 3.0, 1.0, 3.0, 3)


@given(st.permutations(range(0, 40, 2)))
def test_with_more_runs_than_are_remembered_what_came_is_still_not_counted_twice(order: list[int]):
    kept, bars.MOST_RUNS = bars.MOST_RUNS, 4
    try:
        feed = [update(number) for number in range(0, 40, 2)]
        bar = bar_of(feed)
        assert bar.figures == figures_of(feed)
        assert bar.runs is not None
        assert len(bar.runs) == 4
        assert not any(bar.add(update(number)) for number in order)
        assert bar.add(update(41))
        # Between the runs that were made one, a late update is taken for a repeat; its price is not.
        assert not bar.add(update(1))
        assert bar.add(update(1, price=9.0))
        assert bar.high == 9.0
    finally:
        bars.MOST_RUNS = kept


def test_a_bar_whose_runs_were_not_kept_takes_all_between_its_ends_for_counted():
    bar = bar_of(update(number) for number in (1, 2, 5, 9))
    bar.runs = None
    bar.seal()
    assert not bar.add(update(5))
    assert bar.add(update(10))
    assert bar.count == 5


def test_a_bar_without_gaps_needs_no_sealing():
    bar = bar_of(map(update, range(1, 4)))
    bar.seal()
    assert bar.runs is None


@pytest.mark.parametrize("late", [0, 3, 9])
def test_a_late_update_is_counted_and_finds_its_place(late: int):
    others = [number for number in range(10) if number != late]
    assert bar_of(map(update, [*others, late])).state == bar_of(map(update, range(10))).state


def test_two_feeds_with_numbers_of_their_own_are_counted_apart():
    mingled = [each for at in range(5) for each in (update(at, 2 * at), update(100 + at, 2 * at + 1))]
    bar = bar_of(mingled)
    assert Counter(bar.add(each) for each in mingled) == {False: 10}
    assert bar.count == 10
