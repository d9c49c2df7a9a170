"""Finds when an alert would have fired, from the closes of past minutes. Pure.

Only the close of each minute counts. If a price crosses a level and comes back within a minute, the alert does not
fire. A minute makes a new high only if the minute closes above all earlier closes of the day.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from watchlist.alert_kinds import Kind, Repeat, Side
from watchlist.alerts.arming import side_at
from watchlist.alerts.conditions import EXTREME_KINDS, LEVEL_KINDS, level_of

SUPPORTED = LEVEL_KINDS | {Kind.DAY_PERCENT, Kind.WINDOW_PERCENT, *EXTREME_KINDS}
"""The kinds whose past firings can be found from the closes of minutes."""

MINUTE = 60


class PastClose(NamedTuple):
    """The last price of a minute. The minute begins at `start`, in unix seconds."""

    start: int
    price: float


class PastDay(NamedTuple):
    """A market day, which begins at `start` (unix seconds), and its reference price.

    `low` and `high` are the lowest and the highest price in the 52 weeks before the day. If no price is known, `low` is
    inf and `high` is -inf.
    """

    start: int
    reference: float
    low: float = inf
    high: float = -inf


class PastFiring(NamedTuple):
    """A minute in which the alert would have fired.

    `start` is in unix seconds. `price` is the close of the minute. `level` is the level that `price` reached.
    """

    start: int
    price: float
    level: float


@dataclass(frozen=True, slots=True)
class Rule:
    """The options of an alert that decide when it fires."""

    kind: Kind
    value: float = 0.0
    window_seconds: int = 0
    repeat: Repeat = Repeat.EACH
    cooldown_seconds: int = 0


def find_past_firings(closes: Sequence[PastClose], days: Sequence[PastDay], rule: Rule) -> list[PastFiring]:
    """Returns the firings in order of time. `closes` and `days` are sorted, and `days` is not empty.

    An alert that fires once is treated as if it were created again after each firing.
    """
    find = _find_extremes if rule.kind in EXTREME_KINDS else _find_crossings
    firings: list[PastFiring] = []
    silent_until = -inf
    for firing, next_day in find(closes, days, rule):
        if firing.start >= silent_until:
            firings.append(firing)
            silent_until = _silent_until(rule, firing.start, next_day)
    return firings


def _find_crossings(
    closes: Sequence[PastClose], days: Sequence[PastDay], rule: Rule
) -> Iterator[tuple[PastFiring, float]]:
    """Yields each close at which the price reaches the alert's level, and the start of the next market day."""
    side, previous = Side.NONE, None
    for close, place in _place(closes, days):
        reference = _find_base(closes, close, rule) if rule.window_seconds else days[place].reference
        if reference is None:
            continue
        level = level_of(rule.kind, rule.value, reference)
        if side * (close.price - level) <= 0 and side:
            # A level that a new day has moved past the price does not fire. The level of a window moves each minute.
            if previous == level or rule.window_seconds:
                yield PastFiring(*close, level), _start_of(days, place + 1)
            side = Side.NONE
        if not side:
            side = side_at(rule.kind, rule.value, close.price, reference)
        previous = level


def _find_base(closes: Sequence[PastClose], close: PastClose, rule: Rule) -> float | None:
    """Returns the price of the last minute that begins more than `rule.window_seconds` before `close`, or None."""
    at = bisect_left(closes, close.start - rule.window_seconds, key=lambda each: each.start)
    return closes[at - 1].price if at else None


def _find_extremes(
    closes: Sequence[PastClose], days: Sequence[PastDay], rule: Rule
) -> Iterator[tuple[PastFiring, float]]:
    """Yields each close that is a new high or low, and the start of the next market day."""
    sign = 1 if rule.kind in {Kind.DAY_HIGH, Kind.YEAR_HIGH} else -1
    is_yearly = rule.kind in {Kind.YEAR_HIGH, Kind.YEAR_LOW}
    shown, extreme = -1, inf
    for close, place in _place(closes, days):
        if place != shown:  # the first price of a day is no new high
            is_whole = shown >= 0 or 0 <= close.start - days[place].start < MINUTE
            shown, extreme = place, sign * close.price if is_whole else inf
        past = sign * (days[place].high if sign > 0 else days[place].low) if is_yearly else -inf
        if sign * close.price > extreme:
            if sign * close.price > past:
                yield PastFiring(*close, sign * max(extreme, past)), _start_of(days, place + 1)
            extreme = sign * close.price


def _place(closes: Sequence[PastClose], days: Sequence[PastDay]) -> Iterator[tuple[PastClose, int]]:
    """Yields each close with the place of its market day in `days`."""
    starts = [day.start for day in days]
    for close in closes:
        yield close, max(0, bisect_right(starts, close.start) - 1)


def _start_of(days: Sequence[PastDay], place: int) -> float:
    return days[place].start if place < len(days) else inf


def _silent_until(rule: Rule, start: int, next_day: float) -> float:
    """Returns the time before which the alert does not fire again, after a firing in the minute `start`."""
    if rule.repeat is Repeat.DAILY:
        return next_day
    return start + rule.cooldown_seconds if rule.repeat is Repeat.EACH else -inf


def levels_at(closes: Sequence[PastClose], days: Sequence[PastDay], rule: Rule) -> list[float]:
    """Returns the level of the alert at each close; an empty list if the level is not the same for a whole day."""
    if rule.kind in EXTREME_KINDS or rule.window_seconds:
        return []
    return [level_of(rule.kind, rule.value, days[place].reference) for _, place in _place(closes, days)]
