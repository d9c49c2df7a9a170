"""Reads the simulated tickers from the database, as instruments for the price simulator."""

from collections.abc import Callable

from feeds.models import MAX_DECIMALS, MAX_PRICE, MAX_VOLATILITY, Ticker
from feeds.source_names import SIMULATED
from feeds.sources.simulated import Instrument
from feeds.symbols import is_symbol
from feeds.tickers.table import SkippedTickers, read_table


class TickerReader:
    """Reads all tickers whose source is `simulated`, active or not.

    The first `read` calls the function `seed`, which fills an empty table.
    """

    def __init__(self, seed: Callable[[], object]) -> None:
        self._seed: Callable[[], object] | None = seed
        self._skipped = SkippedTickers()

    def read(self) -> list[Instrument]:
        """Returns an instrument for each valid ticker.

        Raises TickersUnavailable if the database does not answer. Errors of `seed`, such as BadTicker, are raised too.
        """
        return [instrument for instrument in read_table(self._read_all) if self._is_valid(instrument)]

    def _read_all(self) -> list[Instrument]:
        if self._seed is not None:
            self._seed()
            self._seed = None
        rows = Ticker.objects.filter(source=SIMULATED)
        columns = rows.values_list("symbol", "base_price", "volatility", "decimals", "active")
        return [Instrument(*row) for row in columns]

    def _is_valid(self, instrument: Instrument) -> bool:
        """Returns whether the symbol and the numbers of a ticker are valid. Logs an invalid ticker."""
        valid = (
            is_symbol(instrument.symbol)
            and 0 < instrument.base_price < MAX_PRICE
            and 0 <= instrument.volatility <= MAX_VOLATILITY
            and 0 <= instrument.decimals <= MAX_DECIMALS
        )
        if not valid:
            self._skipped.add(instrument.symbol, "its numbers are out of range")
        return valid
