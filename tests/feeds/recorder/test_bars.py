from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.bar_layout import MAX_VOLUME
from feeds.recorder import bars
from feeds.recorder.bars import Bar
from feeds.wire import Update

PRICES = st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0])


def update(seq_id: int, at: int | None = None, price: float = 1.5, size: float = 0.0) -> Update:
    return Update("AAPL", price, seq_id if at is None else at, seq_id, size)


def bar_of(updates: Iterable[Update]) -> Bar:
    bar = Bar(7)
    for item in updates:
        bar.add(item)
    return bar


def expected_of(updates: Iterable[Update]) -> tuple[float, float, float, float, int]:
    """Open, high, low, close and count, computed from the set of the updates."""
    once = sorted({item.order: item for item in updates}.values(), key=lambda item: item.order)
    prices = [item.price for item in once]
    return prices[0], max(prices), min(prices), prices[-1], len(once)


@st.composite
def feeds(draw: st.DrawFn) -> list[Update]:
    """The updates of one feed within a bar.

    The seq_ids grow, with gaps. In half of the examples times grow with them.
    """
    seq_ids = draw(st.lists(st.integers(1, 60), min_size=1, unique=True).map(sorted))
    times = draw(st.lists(st.integers(0, 40), min_size=len(seq_ids), max_size=len(seq_ids)))
    if draw(st.booleans()):
        times.sort()
    return [update(seq_id, at, draw(PRICES)) for seq_id, at in zip(seq_ids, times, strict=True)]


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Update], list[Update]]:
    """A feed, and its updates in any order, some of them repeated."""
    feed = draw(feeds())
    again = draw(st.lists(st.sampled_from(feed)))
    return feed, draw(st.permutations([*feed, *again]))


@given(arrivals())
def test_a_bar_depends_only_on_the_set_of_its_updates(case: tuple[list[Update], list[Update]]):
    feed, arrived = case
    assert bar_of(arrived).ohlc_count == expected_of(feed)
    assert bar_of(arrived).state == bar_of(feed).state


SIZES = st.sampled_from([0.0, 1e-8, 0.1, 0.3, 1.0, 12_345.678_901_23])


@given(arrivals(), st.data())
def test_the_volume_is_the_exact_sum_of_the_sizes_in_any_order(
    case: tuple[list[Update], list[Update]], data: st.DataObject
):
    feed, arrived = case
    sizes = {item.order: data.draw(SIZES) for item in feed}
    bar = bar_of(update(item.seq_id, item.timestamp, item.price, sizes[item.order]) for item in arrived)
    assert bar.volume == sum(round(size * 1e8) for size in sizes.values())


def test_ten_times_a_tenth_is_one():
    assert bar_of(update(seq_id, size=0.1) for seq_id in range(10)).volume == 10**8


def test_a_volume_too_large_for_the_database_becomes_the_largest_one():
    assert bar_of(update(seq_id, size=6e10) for seq_id in (1, 2)).volume == MAX_VOLUME


def test_a_day_with_a_thousand_late_trades_is_counted_exactly_and_a_replay_changes_nothing():
    # Each tenth trade arrives with the time of one that arrived up to 5,000 trades before.
    times = [at if at % 10 else max(0, at - at * 7919 % 5_000) for at in range(10_000)]
    feed = [update(seq_id, at, size=seq_id % 97 / 100) for seq_id, at in enumerate(times, 1)]
    bar = bar_of(feed)
    before = bar.state
    assert (bar.count, bar.volume) == (10_000, sum(seq_id % 97 * 10**6 for seq_id in range(1, 10_001)))
    assert not any(bar.add(item) for item in feed)
    assert bar.state == before


@given(feeds(), st.data())
def test_a_replay_of_any_suffix_changes_nothing(feed: list[Update], data: st.DataObject):
    bar = bar_of(feed)
    before = bar.state
    assert not any(bar.add(item) for item in feed[data.draw(st.integers(0, len(feed))) :])
    assert bar.state == before


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.data())
def test_a_feed_whose_seq_ids_start_again_is_counted_completely_and_a_replay_changes_nothing(
    lengths: list[int], data: st.DataObject
):
    seq_ids = [seq_id for length in lengths for seq_id in range(1, length + 1)]
    feed = [update(seq_id, at) for at, seq_id in enumerate(seq_ids)]
    bar = bar_of(feed)
    before = bar.state
    assert bar.count == len(feed)
    assert not any(bar.add(item) for item in feed[data.draw(st.integers(0, len(feed))) :])
    assert bar.state == before


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), PRICES), min_size=1))
def test_prices_are_right_for_any_seq_ids(raw: list[tuple[int, int, float]]):
    unique = {(at, seq_id): update(seq_id, at, price) for seq_id, at, price in raw}
    bar = bar_of(unique.values())
    assert bar.ohlc_count[:4] == expected_of(unique.values())[:4]
    assert bar.count <= len(unique)


def test_a_feed_without_gaps_needs_no_stored_runs():
    bar = bar_of(update(seq_id) for seq_id in (5, 6, 7, 4, 9, 8))
    assert bar.runs is None
    assert (bar.first_seq, bar.last_seq, bar.count) == (4, 9, 6)


def test_updates_with_equal_timestamps_are_ordered_by_seq_id():
    assert bar_of([update(2, 10, 2.0), update(1, 10, 1.0), update(3, 10, 3.0)]).ohlc_count == (1.0, 3.0, 1.0, 3.0, 3)


@given(st.permutations(range(0, 40, 2)))
def test_a_bar_with_more_runs_than_it_keeps_counts_no_update_twice(order: list[int]):
    original, bars.MAX_RUNS = bars.MAX_RUNS, 4
    try:
        feed = [update(seq_id) for seq_id in range(0, 40, 2)]
        bar = bar_of(feed)
        assert bar.ohlc_count == expected_of(feed)
        assert bar.runs is not None
        assert len(bar.runs) == 4
        assert not any(bar.add(update(seq_id)) for seq_id in order)
        assert bar.add(update(41))
        # Between merged runs a late update passes for a repeat, but its price is used.
        assert not bar.add(update(1))
        assert bar.add(update(1, price=9.0))
        assert bar.high == 9.0
    finally:
        bars.MAX_RUNS = original


def test_a_bar_whose_runs_were_not_stored_treats_its_whole_range_as_counted():
    bar = bar_of(update(seq_id) for seq_id in (1, 2, 5, 9))
    bar.runs = None
    bar.mark_range_counted()
    assert not bar.add(update(5))
    assert bar.add(update(10))
    assert bar.count == 5


def test_marking_the_range_of_a_bar_without_gaps_as_counted_adds_no_run():
    bar = bar_of(map(update, range(1, 4)))
    bar.mark_range_counted()
    assert bar.runs is None


@pytest.mark.parametrize("late", [0, 3, 9])
def test_a_late_update_is_counted_like_any_other(late: int):
    others = [seq_id for seq_id in range(10) if seq_id != late]
    assert bar_of(map(update, [*others, late])).state == bar_of(map(update, range(10))).state


def test_two_interleaved_feeds_with_different_seq_ids_are_both_counted():
    interleaved = [item for at in range(5) for item in (update(at, 2 * at), update(100 + at, 2 * at + 1))]
    bar = bar_of(interleaved)
    assert Counter(bar.add(item) for item in interleaved) == {False: 10}
    assert bar.count == 10


@given(st.lists(PRICES, min_size=1, max_size=40), st.data())
def test_two_parts_of_a_feed_absorbed_in_either_order_make_the_whole_bar(prices: list[float], data: st.DataObject):
    feed = [update(number, price=price) for number, price in enumerate(prices, 1)]
    size = st.integers(0, len(feed))
    end, begin = data.draw(size), data.draw(size)
    base = data.draw(st.integers(0, end))
    one, other = feed[:end], [*feed[:base], *feed[max(begin, base) :]]
    expected = sorted({item.order: item for item in (*one, *other)}.values(), key=lambda item: item.order)
    for first, second in ((one, other), (other, one)):
        if first and second:
            merged = bar_of(first)
            merged.absorb(bar_of(second))
            assert merged.state == bar_of(expected).state
            assert merged.absorb(bar_of(second)) is False


def test_bars_that_do_not_know_their_updates_keep_the_greater_count():
    one, other = bar_of([update(1), update(9, price=3.0)]), bar_of([update(4), update(20, price=2.0)])
    for each in (one, other):
        each.runs = None
        each.mark_range_counted()

    assert one.absorb(other)
    assert one.ohlc_count == (1.5, 3.0, 1.5, 2.0, 2)


def test_absorbed_bars_without_a_common_update_add_their_volumes():
    one, other = bar_of([update(1, size=1.0)]), bar_of([update(2, size=2.0)])
    assert one.absorb(other)
    assert one.volume == 3 * 10**8


def test_absorbed_bars_with_a_common_update_keep_the_greater_volume():
    one = bar_of([update(1, size=1.0), update(2, size=2.0)])
    assert one.absorb(bar_of([update(2, size=2.0), update(3, size=4.0)]))
    assert (one.count, one.volume) == (3, 6 * 10**8)


def test_absorbed_runs_stay_bounded():
    one, other = (bar_of(update(number) for number in range(start, 4 * bars.MAX_RUNS, 4)) for start in (0, 2))

    assert one.absorb(other)
    assert (one.count, len(one.runs or [])) == (2 * bars.MAX_RUNS, bars.MAX_RUNS)


def test_an_empty_bar_adds_nothing():
    bar = bar_of([update(1)])

    assert not bar.absorb(Bar(7))
