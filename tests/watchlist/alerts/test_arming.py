import pytest

from feeds.wire import Update
from watchlist.alert_kinds import Kind, Side
from watchlist.alerts.arming import Condition, Market, find_side, is_true

NOW = 1_800_000_000_000_000


def market(price: float, age_seconds: int = 1, reference: float | None = 200.0) -> Market:
    """Returns a market whose quote has this price and age."""
    return Market(Update("AAPL", price, NOW - age_seconds * 1_000_000, 7), reference, NOW)


NO_QUOTE = Market(None, 200.0, NOW)


@pytest.mark.parametrize(
    ("kind", "value", "price", "side"),
    [
        (Kind.UP, 100, 99, Side.BELOW),
        (Kind.UP, 100, 100, Side.NONE),
        (Kind.DOWN, 100, 101, Side.ABOVE),
        (Kind.DOWN, 100, 100, Side.NONE),
        (Kind.EITHER, 100, 99, Side.BELOW),
        (Kind.EITHER, 100, 101, Side.ABOVE),
        (Kind.DAY_PERCENT, 5, 209, Side.BELOW),
        (Kind.DAY_PERCENT, 5, 211, Side.NONE),
        (Kind.DAY_PERCENT, -5, 191, Side.ABOVE),
        (Kind.DAY_PERCENT, -5, 189, Side.NONE),
    ],
)
def test_a_new_alert_is_armed_on_the_side_of_the_price_unless_its_condition_is_true(
    kind: Kind, value: float, price: float, side: Side
):
    assert find_side(Condition(kind, value), market(price)) is side


@pytest.mark.parametrize(
    ("kind", "side"),
    [
        (Kind.DAY_HIGH, Side.BELOW),
        (Kind.DAY_LOW, Side.ABOVE),
        (Kind.YEAR_HIGH, Side.BELOW),
        (Kind.YEAR_LOW, Side.ABOVE),
    ],
)
def test_an_alert_on_a_new_high_or_low_is_armed_at_any_price(kind: Kind, side: Side):
    for each in (market(100), NO_QUOTE):
        assert find_side(Condition(kind), each) is side
        assert not is_true(Condition(kind), each)


@pytest.mark.parametrize(("age", "side"), [(0, Side.BELOW), (299, Side.BELOW), (300, Side.NONE)])
def test_an_alert_on_missing_prices_is_armed_unless_the_quote_is_too_old(age: int, side: Side):
    condition = Condition(Kind.NO_PRICE, window_seconds=300)
    assert find_side(condition, market(100, age)) is side
    assert is_true(condition, market(100, age)) is (side is Side.NONE)
    assert is_true(condition, market(100, age, reference=None)) is (side is Side.NONE)


@pytest.mark.parametrize("each", [NO_QUOTE, market(100, reference=None)])
def test_an_alert_is_not_armed_while_it_is_unknown_whether_its_condition_is_true(each: Market):
    condition = Condition(Kind.WINDOW_PERCENT, 5.0, 300)
    assert find_side(condition, each) is Side.NONE
    assert not is_true(condition, each)


def test_a_condition_is_stored_in_the_columns_of_its_kind():
    assert Condition(Kind.UP, 5.0).columns == {"kind": "up", "level": 5.0, "percent": None, "window_seconds": None}
    window = Condition(Kind.WINDOW_PERCENT, -5.0, 300)
    assert window.columns == {"kind": "window_percent", "level": None, "percent": -5.0, "window_seconds": 300}
    assert Condition(Kind.DAY_LOW).columns["percent"] is None
