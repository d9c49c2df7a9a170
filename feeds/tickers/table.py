"""Reads rows of the ticker table for the programs that feed prices."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import Error, connection

from feeds.errors import TickersUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")


def read_table(read: Callable[[], T]) -> T:
    """Returns the result of `read`, a function that makes database queries.

    Raises TickersUnavailable if the database does not answer or has no ticker table.
    """
    try:
        return read()
    except Error as error:
        # Django replaces a broken connection only at the end of a request, and there is no request here.
        connection.close()
        raise TickersUnavailable(
            f"cannot read the tickers ({str(error).splitlines()[0]}); has `manage.py migrate` been run?"
        ) from error


class SkippedTickers:
    """Logs the tickers that are skipped because of invalid rows, once for each symbol."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def add(self, symbol: str, reason: str) -> None:
        if symbol not in self._logged:
            self._logged.add(symbol)
            log.warning(f"ticker skipped: {reason}", symbol=symbol)
