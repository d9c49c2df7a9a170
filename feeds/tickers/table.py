"""Reads rows of the ticker table for the programs that feed prices."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from feeds.errors import TickersUnavailable
from feeds.models import translate_database_errors

log = structlog.get_logger(__name__)

T = TypeVar("T")


def read_table(read: Callable[[], T]) -> T:
    """Returns the result of `read`, a function that makes database queries.

    Raises TickersUnavailable if the database does not answer or has no ticker table.
    """
    with translate_database_errors(TickersUnavailable, "tickers"):
        return read()


class SkippedTickers:
    """Logs the tickers that are skipped because of invalid rows, once for each symbol."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def add(self, symbol: str, reason: str) -> None:
        if symbol not in self._logged:
            self._logged.add(symbol)
            log.warning(f"ticker skipped: {reason}", symbol=symbol)
