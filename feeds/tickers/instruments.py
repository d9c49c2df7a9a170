"""Reads the tickers as instruments for the price simulator."""

from collections.abc import Callable

import structlog
from django.db import Error, connection

from feeds.errors import TickersUnavailable
from feeds.models import MAX_DECIMALS, MAX_PRICE, MAX_VOLATILITY, Ticker
from feeds.sources.simulated import Instrument
from feeds.symbols import is_symbol

log = structlog.get_logger(__name__)


class TickerReader:
    """Reads all tickers, active or not. Calls `seed` once, before the first read."""

    def __init__(self, seed: Callable[[], object]) -> None:
        self._seed: Callable[[], object] | None = seed
        self._reported: set[str] = set()

    def read(self) -> list[Instrument]:
        """Returns an instrument for each valid ticker. Raises TickersUnavailable, and BadTicker from the seed."""
        try:
            if self._seed is not None:
                self._seed()
                self._seed = None
            rows = list(Ticker.objects.values_list("symbol", "base_price", "volatility", "decimals", "active"))
        except Error as error:
            # Django replaces broken connections at the end of a request only, and there is no request here.
            connection.close()
            raise TickersUnavailable(
                f"cannot read the tickers ({str(error).splitlines()[0]}); has `manage.py migrate` been run?"
            ) from error
        return [instrument for row in rows if self._is_valid(instrument := Instrument(*row))]

    def _is_valid(self, instrument: Instrument) -> bool:
        """Skips rows that were written without the admin's validation, so that they do not stop the others."""
        valid = (
            is_symbol(instrument.symbol)
            and 0 < instrument.base_price < MAX_PRICE
            and 0 <= instrument.volatility <= MAX_VOLATILITY
            and 0 <= instrument.decimals <= MAX_DECIMALS
        )
        if not valid and instrument.symbol not in self._reported:
            self._reported.add(instrument.symbol)
            log.warning("ticker skipped: its numbers are out of range", symbol=instrument.symbol)
        return valid
