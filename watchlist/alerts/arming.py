"""Decides on which side of its level a new or resumed alert is armed. Pure."""

from typing import Any

import msgspec

from feeds.wire import Update
from watchlist.alert_kinds import Kind, Side
from watchlist.alerts.conditions import LEVEL_KINDS, can_fall, can_rise, level_of

SECOND_US = 1_000_000

ALWAYS_ARMED = {
    Kind.DAY_HIGH: Side.BELOW,
    Kind.YEAR_HIGH: Side.BELOW,
    Kind.DAY_LOW: Side.ABOVE,
    Kind.YEAR_LOW: Side.ABOVE,
}
"""A dict from kind to side, for the kinds that are armed at any price.

For example, an alert on new highs is armed BELOW, because no price is above the highest price so far.
"""


class Condition(msgspec.Struct, frozen=True):
    """The condition of an alert. `alerts.conditions.AlertOptions` explains the fields."""

    kind: Kind
    value: float | None = None
    window_seconds: int | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The values of the columns of `watchlist.alert_models.Alert` that hold the condition."""
        is_level = self.kind in LEVEL_KINDS
        return {
            "kind": self.kind.value,
            "level": self.value if is_level else None,
            "percent": None if is_level else self.value,
            "window_seconds": self.window_seconds,
        }


class Market(msgspec.Struct, frozen=True):
    """What is known about a ticker at the time `now`, in unix microseconds.

    `quote` is None if the ticker has no quote. `reference` is the price to which a percentage refers; None if the price
    is unknown.
    """

    quote: Update | None
    reference: float | None
    now: int


def find_side(condition: Condition, market: Market) -> Side:
    """Returns on which side of its level an alert is armed.

    Returns Side.NONE if the condition is true already, or if a price that decides this is unknown.
    """
    quote = market.quote
    if condition.kind in ALWAYS_ARMED:
        return ALWAYS_ARMED[condition.kind]
    if quote is None:
        return Side.NONE
    if condition.kind is Kind.NO_PRICE:
        silent = market.now - quote.timestamp >= (condition.window_seconds or 0) * SECOND_US
        return Side.NONE if silent else Side.BELOW
    if condition.value is None or market.reference is None:
        return Side.NONE
    return side_at(condition.kind, condition.value, quote.price, market.reference)


def is_true(condition: Condition, market: Market) -> bool:
    """Returns whether a condition is known to be true already."""
    is_known = market.quote is not None and (market.reference is not None or condition.kind is Kind.NO_PRICE)
    return is_known and find_side(condition, market) is Side.NONE


def side_at(kind: Kind, value: float, price: float, reference: float) -> Side:
    """Returns on which side of its level `price` arms an alert with a level or a percentage.

    Returns Side.NONE if the condition is already true. Such an alert is armed later, when the condition is false again.
    """
    level = level_of(kind, value, reference)
    if price < level and can_rise(kind, value):
        return Side.BELOW
    return Side.ABOVE if price > level and can_fall(kind, value) else Side.NONE
