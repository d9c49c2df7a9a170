"""The table of tickers as the generator wants it. Reads it, and has it seeded once; changes nothing else."""

from collections.abc import Callable

import structlog
from django.db import Error, connection

from feeds.errors import TickersUnavailable
from feeds.models import Ticker
from feeds.sources.simulated import Instrument
from feeds.symbols import is_symbol

log = structlog.get_logger(__name__)


class Tickers:
    """All tickers, active or not. `seed` is called once, before the first reading."""

    def __init__(self, seed: Callable[[], object]) -> None:
        self._seed: Callable[[], object] | None = seed
        self._told: set[str] = set()

    def read(self) -> list[Instrument]:
        """Every ticker that can be fed. Raises TickersUnavailable, and BadTicker from the seed."""
        try:
            if self._seed is not None:
                self._seed()
                self._seed = None
            rows = list(Ticker.objects.values_list("symbol", "base_price", "volatility", "decimals", "active"))
        except Error as error:
            # A connection that broke is not mended by itself outside of requests.
            connection.close()
            raise TickersUnavailable(
                f"the table of tickers cannot be read ({str(error).splitlines()[0]}); has `manage.py migrate` been run?"
            ) from error
        return [instrument for row in rows if self._is_fit(instrument := Instrument(*row))]

    def _is_fit(self, instrument: Instrument) -> bool:
        """Rows written past the admin's checks must not stop the others."""
        fit = (
            is_symbol(instrument.symbol)
            and 0 < instrument.base_price < 1e12
            and 0 <= instrument.volatility <= 1000
            and 0 <= instrument.decimals <= 8
        )
        if not fit and instrument.symbol not in self._told:
            self._told.add(instrument.symbol)
            log.warning("a ticker has figures that no walk can start from, it is not fed", symbol=instrument.symbol)
        return fit
