from random import Random

import pytest

from watchlist.gateway.closing.drain import drain_seconds, spread


@pytest.mark.parametrize(
    ("connections", "least", "longest", "seconds"),
    [
        (0, 5.0, 60.0, 5.0),
        (1_000, 5.0, 60.0, 5.0),
        (3_000, 5.0, 60.0, 10.0),
        (20_000, 5.0, 60.0, 60.0),
        (20_000, 5.0, 600.0, 200.0 / 3),
        (20_000, 5.0, 0.0, 5.0),
        (20_000, 0.0, 0.0, 0.0),
    ],
)
def test_a_drain_uses_half_of_the_accept_rate_within_its_bounds(connections, least, longest, seconds):
    assert drain_seconds(connections, 600.0, least, longest) == pytest.approx(seconds)


def test_each_part_of_the_time_has_one_item():
    items = [f"item {number}" for number in range(1000)]
    spread_items = list(spread(items, 50.0, Random(3)))
    delays = [delay for delay, _ in spread_items]
    assert sorted(item for _, item in spread_items) == sorted(items)
    assert [item for _, item in spread_items] != items
    assert all(position * 0.05 <= delay <= (position + 1) * 0.05 for position, delay in enumerate(delays))


def test_without_time_no_item_waits():
    assert list(spread(["a"], 0.0, Random(3))) == [(0.0, "a")]
    assert list(spread([], 5.0, Random(3))) == []
