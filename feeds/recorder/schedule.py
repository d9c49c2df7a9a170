"""Decides when the recorder writes, saves and purges bars. Pure.

"Write" means: copy bars to Redis. "Save" means: copy bars to the database. "Purge" means: delete old minute bars from
the database.
"""

from collections.abc import Callable

WRITE_EVERY_SECONDS = 1.0
"""The shortest time between two writes to Redis."""

SAVE_EVERY_SECONDS = 60.0
SAVE_AFTER_SECONDS = 2.0
"""How many seconds after each full minute a save is due. Most bars of the minute are complete then."""

PURGE_EVERY_SECONDS = 3600.0

FOLLOW_EVERY_SECONDS = 2.0
"""The time between two searches for changes that other programs made in the database."""


class Schedule:
    """Knows when the next write, save, purge and search for changes are due.

    `clock` returns seconds since any fixed moment; `now` returns unix seconds.
    """

    def __init__(self, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._write_due = self._save_due = self._purge_due = self._follow_due = 0.0

    def start(self) -> None:
        """Plans the first write, save, purge and search for changes."""
        begin = self._clock()
        self._write_due = begin + WRITE_EVERY_SECONDS
        self._save_due = self._next_save()
        self._purge_due = begin + SAVE_EVERY_SECONDS
        self._follow_due = begin + FOLLOW_EVERY_SECONDS

    @property
    def write_is_due(self) -> bool:
        return self._clock() >= self._write_due

    @property
    def save_is_due(self) -> bool:
        return self._clock() >= self._save_due

    @property
    def purge_is_due(self) -> bool:
        return self._clock() >= self._purge_due

    @property
    def follow_is_due(self) -> bool:
        return self._clock() >= self._follow_due

    def followed(self) -> None:
        self._follow_due = self._clock() + FOLLOW_EVERY_SECONDS

    def written(self) -> None:
        self._write_due = self._clock() + WRITE_EVERY_SECONDS

    def save_soon(self) -> None:
        """Makes a save due now."""
        self._save_due = self._clock()

    def saved(self) -> None:
        self._save_due = self._next_save()

    def purged(self) -> None:
        """Plans the next purge. Call this method when no old minute bar is left in the database."""
        self._purge_due = self._clock() + PURGE_EVERY_SECONDS

    def _next_save(self) -> float:
        return self._clock() + SAVE_EVERY_SECONDS - (self._now() - SAVE_AFTER_SECONDS) % SAVE_EVERY_SECONDS
