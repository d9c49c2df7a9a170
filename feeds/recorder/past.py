"""Finds the market day whose last price is the previous close of a symbol. Pure."""

from collections.abc import Sequence
from typing import NamedTuple


class PreviousDay(NamedTuple):
    """A market day and its last price, `close`. `day` is an ordinal (`date.toordinal`)."""

    day: int
    close: float


class Past(NamedTuple):
    """A summary of the fetched and simulated bars that the database has for a symbol.

    `days` holds the newest two days of these bars. `version` grows when these bars change. `is_complete` is false while
    some simulated bars of the symbol are still missing.
    """

    is_complete: bool = True
    version: int = 0
    days: Sequence[PreviousDay] = ()


NO_PAST = Past()


def find_previous_day(recorded: PreviousDay | None, past: Past, newest: int) -> PreviousDay | None:
    """Returns the last market day before the day `newest`, or None if there is none.

    `recorded` is the last recorded day before `newest`. A day of `past` with the same date takes precedence over
    `recorded`.
    """
    found = recorded
    for day in past.days:
        # A day is in `past` only if the recorded day is missing or incomplete.
        if day.day < newest and (found is None or day.day >= found.day):
            found = day
    return found
