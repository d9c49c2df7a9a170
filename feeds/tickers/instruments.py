"""Reads the tickers from the database, as instruments for the price simulator."""

from collections.abc import Callable

import structlog
from django.db import Error, connection

from feeds.errors import TickersUnavailable
from feeds.models import MAX_DECIMALS, MAX_PRICE, MAX_VOLATILITY, Ticker
from feeds.sources.simulated import Instrument
from feeds.symbols import is_symbol

log = structlog.get_logger(__name__)


class TickerReader:
    """Reads all tickers, active or not.

    Before the first read, calls `seed`. The function `seed` fills an empty table.
    """

    def __init__(self, seed: Callable[[], object]) -> None:
        self._seed: Callable[[], object] | None = seed
        self._reported: set[str] = set()

    def read(self) -> list[Instrument]:
        """Returns an instrument for each valid ticker.

        Raises TickersUnavailable if the database does not answer. `seed` may raise BadTicker.
        """
        try:
            if self._seed is not None:
                self._seed()
                self._seed = None
            rows = list(Ticker.objects.values_list("symbol", "base_price", "volatility", "decimals", "active"))
        except Error as error:
            # Django replaces a broken connection only at the end of a request, and there is no request here.
            connection.close()
            raise TickersUnavailable(
                f"cannot read the tickers ({str(error).splitlines()[0]}); has `manage.py migrate` been run?"
            ) from error
        return [instrument for row in rows if self._is_valid(instrument := Instrument(*row))]

    def _is_valid(self, instrument: Instrument) -> bool:
        """Returns whether the symbol and the numbers of a ticker are valid.

        A row that was written without the admin's validation may be invalid. An invalid row must not stop the other
        tickers. Therefore an invalid row is only logged, once for each symbol.
        """
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
