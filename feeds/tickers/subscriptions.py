"""Reads from the database which symbols the feeder subscribes to at each source."""

from feeds.models import Ticker
from feeds.source_names import SIMULATED, SOURCE_NAMES, is_native_symbol
from feeds.symbols import is_symbol
from feeds.tickers.table import SkippedTickers, read_table


class SubscriptionReader:
    """Reads the symbols to subscribe to: the active tickers whose source is not `simulated`."""

    def __init__(self) -> None:
        self._skipped = SkippedTickers()

    def read(self) -> dict[str, dict[str, str]]:
        """Returns a dict from source to subscriptions.

        The subscriptions of a source are a dict from symbol to native symbol. If the native symbol is empty, the
        source derives the native symbol from the symbol. Raises TickersUnavailable if the database does not answer.
        """
        wanted: dict[str, dict[str, str]] = {}
        for symbol, source, native in read_table(self._read_all):
            if reason := _find_fault(symbol, source, native):
                self._skipped.add(symbol, reason)
            else:
                wanted.setdefault(source, {})[symbol] = native
        return wanted

    def _read_all(self) -> list[tuple[str, str, str]]:
        tickers = Ticker.objects.filter(active=True).exclude(source=SIMULATED)
        return list(tickers.values_list("symbol", "source", "native"))


def _find_fault(symbol: str, source: str, native: str) -> str:
    """Returns why a ticker cannot be subscribed to, or an empty text."""
    if not is_symbol(symbol):
        return "its symbol is not valid"
    if source not in SOURCE_NAMES:
        return "its source is unknown"
    return "" if not native or is_native_symbol(native) else "its native symbol is not valid"
