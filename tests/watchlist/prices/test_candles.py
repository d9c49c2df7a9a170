import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.prices.candles import MOST_POINTS, Candle, choose_step, join_candles

DAY = 1440


@pytest.mark.parametrize(
    ("minutes", "step"),
    [(1, 1), (DAY, 1), (7 * DAY, 10), (30 * DAY, 30), (90 * DAY, 120), (365 * DAY, 720), (4 * 365 * DAY, DAY)],
)
def test_a_candle_is_as_short_as_the_chart_allows(minutes: int, step: int):
    assert choose_step(minutes) == step


@given(st.integers(0, 100 * 365 * DAY))
def test_no_chart_has_more_points_than_it_may(minutes: int):
    step = choose_step(minutes)
    assert minutes // step + 2 <= MOST_POINTS or step > DAY
    assert -(-minutes // step) + 1 <= MOST_POINTS


@st.composite
def candles(draw: st.DrawFn) -> list[Candle]:
    starts = draw(st.lists(st.integers(0, 100), unique=True).map(sorted))
    price = st.integers(1, 9).map(float)
    made = []
    for start in starts:
        low, opened, closed, high = sorted([draw(price), draw(price), draw(price), draw(price)])
        made.append(Candle(start * 60, opened, high, low, closed, draw(st.integers(1, 5))))
    return made


@given(candles(), st.sampled_from([60, 120, 300, 3600]))
def test_a_joined_candle_begins_and_ends_as_its_parts_and_reaches_as_far(parts: list[Candle], step: int):
    joined = join_candles(parts, step)
    assert [candle.start for candle in joined] == sorted({part.start // step * step for part in parts})
    for candle in joined:
        own = [part for part in parts if part.start // step * step == candle.start]
        assert (candle.open, candle.close) == (own[0].open, own[-1].close)
        assert (candle.high, candle.low) == (max(part.high for part in own), min(part.low for part in own))
        assert candle.count == sum(part.count for part in own)


@given(candles())
def test_joining_in_two_steps_is_joining_in_one(parts: list[Candle]):
    assert join_candles(join_candles(parts, 120), 600) == join_candles(parts, 600)
