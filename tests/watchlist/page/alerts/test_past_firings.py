import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.alert_kinds import Kind, Repeat
from watchlist.page.alerts.past_firings import PastClose, PastDay, Rule, find_past_firings, levels_at

DAY = 86_400
NO_DAYS = [PastDay(0, 100.0)]


def closes_of(*prices: float, step: int = 60) -> list[PastClose]:
    """Returns the closes of successive minutes, or of every `step` seconds."""
    return [PastClose(number * step, price) for number, price in enumerate(prices)]


def minutes_of(rule: Rule, *prices: float, step: int = 60) -> list[int]:
    """Returns the numbers of the minutes in which an alert would have fired."""
    return [firing.start // step for firing in find_past_firings(closes_of(*prices, step=step), NO_DAYS, rule)]


@pytest.mark.parametrize(
    ("kind", "prices", "minutes"),
    [
        (Kind.UP, (199, 200, 201, 200, 199.9, 250), [1, 5]),
        (Kind.UP, (200, 201, 199, 200), [3]),
        (Kind.DOWN, (201, 200, 199, 201, 150), [1, 4]),
        (Kind.EITHER, (199, 201, 199, 200, 200, 201, 200), [1, 2, 3, 6]),
        (Kind.UP, (), []),
    ],
)
def test_a_level_fires_when_a_close_reaches_it_from_the_other_side(kind, prices, minutes):
    assert minutes_of(Rule(kind, 200.0), *prices) == minutes


def test_a_firing_has_the_close_and_the_level():
    assert find_past_firings(closes_of(199, 205), NO_DAYS, Rule(Kind.UP, 200.0)) == [(60, 205, 200.0)]


def test_a_crossing_during_the_cooldown_does_not_fire():
    assert minutes_of(Rule(Kind.UP, 200.0, 0, Repeat.EACH, 180), 199, 200, 199, 200, 200, 199, 200) == [1, 6]


def test_an_alert_that_fires_once_is_created_again_after_each_firing():
    assert minutes_of(Rule(Kind.UP, 200.0, 0, Repeat.ONCE), 199, 200, 199, 200) == [1, 3]


def test_a_daily_alert_fires_once_in_each_market_day():
    closes = [
        PastClose(at, price)
        for at, price in (
            (0, 199),
            (60, 200),
            (120, 199),
            (180, 200),
            (DAY, 199),
            (DAY + 60, 200),
            (DAY + 90, 199),
            (2 * DAY, 201),
        )
    ]
    days = [PastDay(0, 100.0), PastDay(DAY, 100.0)]
    rule = Rule(Kind.UP, 200.0, 0, Repeat.DAILY)
    assert [firing.start for firing in find_past_firings(closes, days, rule)] == [60, DAY + 60]


def test_a_percentage_is_relative_to_the_previous_close_of_each_day():
    closes = [
        PastClose(at, price) for at, price in ((0, 100), (60, 106), (DAY, 106), (DAY + 60, 111), (DAY + 120, 112))
    ]
    days = [PastDay(0, 100.0), PastDay(DAY, 106.0)]
    rule = Rule(Kind.DAY_PERCENT, 5.0)
    assert levels_at(closes, days, rule) == [105.0, 105.0, 111.3, 111.3, 111.3]
    assert find_past_firings(closes, days, rule) == [(60, 106, 105.0), (DAY + 120, 112, 111.3)]


def test_a_level_that_a_new_day_moves_past_the_price_does_not_fire():
    closes = [PastClose(0, 104), PastClose(DAY, 104), PastClose(DAY + 60, 90), PastClose(DAY + 120, 104)]
    days = [PastDay(0, 100.0), PastDay(DAY, 95.0)]
    assert [firing.start for firing in find_past_firings(closes, days, Rule(Kind.DAY_PERCENT, 5.0))] == [DAY + 120]


@pytest.mark.parametrize(
    ("percent", "minutes"),
    [(5.0, [3, 7]), (-5.0, [5])],
)
def test_a_change_within_a_window_is_relative_to_the_price_before_the_window(percent: float, minutes: list[int]):
    prices = (100, 100, 100, 105, 105, 99, 99, 104)
    rule = Rule(Kind.WINDOW_PERCENT, percent, window_seconds=60)
    assert minutes_of(rule, *prices) == minutes
    assert levels_at(closes_of(*prices), NO_DAYS, rule) == []


def test_a_price_that_stays_fires_when_its_window_moves():
    rule = Rule(Kind.WINDOW_PERCENT, 5.0, window_seconds=120)
    assert minutes_of(rule, 100, 90, 95, 95, 95, 95) == [4]


def at_minutes(*prices: float, begin: int = 0) -> list[PastClose]:
    return [PastClose(begin + number * 60, price) for number, price in enumerate(prices)]


@pytest.mark.parametrize(
    ("kind", "fired"),
    [
        (Kind.DAY_HIGH, [(60, 101, 100), (180, 102, 101), (DAY + 60, 96, 95)]),
        (Kind.DAY_LOW, [(120, 90, 100)]),
        (Kind.YEAR_HIGH, [(180, 102, 101.5)]),
        (Kind.YEAR_LOW, [(120, 90, 95)]),
    ],
)
def test_new_highs_and_lows_fire_but_not_with_the_first_close_of_a_day(kind: Kind, fired: list):
    closes = at_minutes(100, 101, 90, 102) + at_minutes(95, 96, begin=DAY)
    days = [PastDay(0, 100.0, 95.0, 101.5), PastDay(DAY, 100.0, 90.0, 102.0)]
    assert find_past_firings(closes, days, Rule(kind)) == fired
    assert levels_at(closes, days, Rule(kind)) == []


def test_the_highs_of_a_day_whose_beginning_is_unknown_are_not_counted():
    closes = at_minutes(100, 101, begin=7200) + at_minutes(100, 101, begin=DAY)
    assert [each.start for each in find_past_firings(closes, [PastDay(0, 1.0)], Rule(Kind.DAY_HIGH))] == []
    days = [PastDay(0, 1.0), PastDay(DAY, 1.0)]
    assert [each.start for each in find_past_firings(closes, days, Rule(Kind.YEAR_HIGH))] == [DAY + 60]


@given(st.lists(st.integers(195, 205), max_size=40), st.sampled_from([Kind.UP, Kind.DOWN]))
def test_firings_equal_a_plain_count_of_crossings(prices: list[int], kind: Kind):
    sign = 1 if kind is Kind.UP else -1
    expected, is_armed = [], False
    for minute, price in enumerate(prices):
        is_reached = sign * (price - 200) >= 0
        if is_armed and is_reached:
            expected.append(minute)
        is_armed = not is_reached
    assert minutes_of(Rule(kind, 200.0), *prices) == expected
