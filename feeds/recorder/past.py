"""Describes earlier market days of a symbol, and finds the day whose last price is the previous close. Pure."""

from collections.abc import Sequence
from typing import NamedTuple


class PreviousDay(NamedTuple):
    """A market day before the newest one, and its last price. `day` is an ordinal (`date.toordinal`)."""

    day: int
    close: float


class Past(NamedTuple):
    """What the database knows about a symbol besides its recorded bars.

    `days` holds the newest two days whose bars were fetched or simulated. `version` grows when such bars change.
    `is_complete` is false while simulated bars are still to be made.
    """

    is_complete: bool = True
    version: int = 0
    days: Sequence[PreviousDay] = ()


NO_PAST = Past()


def find_previous_day(recorded: PreviousDay | None, past: Past, newest: int) -> PreviousDay | None:
    """Returns the last market day before the day `newest`, or None if there is none.

    `recorded` is the last recorded day before `newest`. `past` holds days that were fetched or simulated. If both have
    the same day, the day in `past` is used: it is there only because the recorded day was incomplete.
    """
    found = recorded
    for day in past.days:
        if day.day < newest and (found is None or day.day >= found.day):
            found = day
    return found
