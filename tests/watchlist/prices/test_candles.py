import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.prices.candles import MAX_CANDLES, Candle, choose_step_minutes, join_candles

DAY_MINUTES = 1440


@pytest.mark.parametrize(
    ("minutes", "step"),
    [
        (1, 1),
        (DAY_MINUTES, 1),
        (7 * DAY_MINUTES, 10),
        (30 * DAY_MINUTES, 30),
        (90 * DAY_MINUTES, 120),
        (365 * DAY_MINUTES, 720),
        (4 * 365 * DAY_MINUTES, DAY_MINUTES),
    ],
)
def test_the_shortest_candles_that_fit_are_chosen(minutes: int, step: int):
    assert choose_step_minutes(minutes) == step


@given(st.integers(0, 100 * 365 * DAY_MINUTES))
def test_no_chart_has_more_than_the_maximum_of_candles(minutes: int):
    step = choose_step_minutes(minutes)
    assert minutes // step + 2 <= MAX_CANDLES or step > DAY_MINUTES
    assert -(-minutes // step) + 1 <= MAX_CANDLES


@st.composite
def candles(draw: st.DrawFn) -> list[Candle]:
    starts = draw(st.lists(st.integers(0, 100), unique=True).map(sorted))
    price = st.integers(1, 9).map(float)
    candles = []
    for start in starts:
        low, opened, closed, high = sorted([draw(price), draw(price), draw(price), draw(price)])
        candles.append(Candle(start * 60, opened, high, low, closed, draw(st.integers(1, 5))))
    return candles


@given(candles(), st.sampled_from([60, 120, 300, 3600]))
def test_a_joined_candle_has_the_open_close_extremes_and_count_of_its_parts(parts: list[Candle], step: int):
    joined = join_candles(parts, step)
    assert [candle.start for candle in joined] == sorted({part.start // step * step for part in parts})
    for candle in joined:
        own = [part for part in parts if part.start // step * step == candle.start]
        assert (candle.open, candle.close) == (own[0].open, own[-1].close)
        assert (candle.high, candle.low) == (max(part.high for part in own), min(part.low for part in own))
        assert candle.count == sum(part.count for part in own)


@given(candles())
def test_joining_in_two_steps_gives_the_same_candles_as_joining_in_one(parts: list[Candle]):
    assert join_candles(join_candles(parts, 120), 600) == join_candles(parts, 600)
