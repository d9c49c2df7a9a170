"""Defines what the recorder knows about market days before the newest market day. Pure."""

from collections.abc import Sequence
from typing import NamedTuple


class PreviousDay(NamedTuple):
    """A market day before the newest one, and its last price. `day` is an ordinal (`date.toordinal`)."""

    day: int
    close: float


class Past(NamedTuple):
    """What the database knows about the time before the recorded bars.

    `days` holds the newest two days that were not recorded. `version` grows with each change of bars that were not
    recorded. `is_complete` is false while the past is still missing.
    """

    is_complete: bool = True
    version: int = 0
    days: Sequence[PreviousDay] = ()


NO_PAST = Past()


def find_previous_day(recorded: PreviousDay | None, past: Past, newest: int) -> PreviousDay | None:
    """Returns the last day before the day `newest`.

    `recorded` is the last recorded day before `newest`. If the past contains the same day, the recorded bar was
    incomplete. In this case, returns the day of the past.
    """
    found = recorded
    for day in past.days:
        if day.day < newest and (found is None or day.day >= found.day):
            found = day
    return found
