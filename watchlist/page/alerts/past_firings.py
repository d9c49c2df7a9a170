"""Finds when an alert would have fired, from the closes of past minutes. Pure.

Only the close of each minute is compared with the level. A price that crosses the level and comes back within a minute
is not counted. A new alert is armed at the first close, as `starting_side` says.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from watchlist.alert_kinds import Kind, Repeat, Side
from watchlist.alerts.conditions import level_of, starting_side

SUPPORTED = (Kind.UP, Kind.DOWN, Kind.EITHER, Kind.DAY_PERCENT)
"""The kinds whose past firings can be found from the closes of minutes."""


class PastClose(NamedTuple):
    """The last price of a minute. The minute begins at `start`, in unix seconds."""

    start: int
    price: float


class PastDay(NamedTuple):
    """A market day, which begins at `start` (unix seconds), and its reference price."""

    start: int
    reference: float


class PastFiring(NamedTuple):
    """A minute in which the alert would have fired, with its close and the level of that day."""

    start: int
    price: float
    level: float


@dataclass(frozen=True, slots=True)
class Rule:
    """The options of an alert that decide when it fires."""

    kind: Kind
    value: float
    repeat: Repeat = Repeat.EACH
    cooldown_seconds: int = 0


def find_past_firings(closes: Sequence[PastClose], days: Sequence[PastDay], rule: Rule) -> list[PastFiring]:
    """Returns the firings in order of time. `closes` and `days` are sorted, and `days` is not empty.

    An alert that fires once is treated as if it were created again after each firing.
    """
    firings: list[PastFiring] = []
    side, silent_until, previous = Side.NONE, -inf, None
    starts = [day.start for day in days]
    for close in closes:
        place = max(0, bisect_right(starts, close.start) - 1)
        level = level_of(rule.kind, rule.value, days[place].reference)
        has_moved = previous not in {None, level}  # a level that a new day has moved past the price does not fire
        if side * (close.price - level) <= 0 and side:
            if not has_moved and close.start >= silent_until:
                firings.append(PastFiring(*close, level))
                silent_until = _silent_until(rule, close.start, starts[place + 1 :])
            side = Side.NONE
        if not side:
            side = starting_side(rule.kind, rule.value, close.price, days[place].reference)
        previous = level
    return firings


def _silent_until(rule: Rule, start: int, later_days: Sequence[int]) -> float:
    """Returns the time before which the alert does not fire again, after a firing in the minute `start`."""
    if rule.repeat is Repeat.DAILY:
        return later_days[0] if later_days else inf
    return start + rule.cooldown_seconds if rule.repeat is Repeat.EACH else -inf


def levels_at(closes: Sequence[PastClose], days: Sequence[PastDay], rule: Rule) -> list[float]:
    """Returns the level of the alert at each close."""
    starts = [day.start for day in days]
    places = (max(0, bisect_right(starts, close.start) - 1) for close in closes)
    return [level_of(rule.kind, rule.value, days[place].reference) for place in places]
