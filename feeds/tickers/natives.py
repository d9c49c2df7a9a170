"""Finds tickers that share a native symbol of a source.

A native symbol is the name that a source gives an instrument, such as `BTC-USD` for `BTC/USD`. The source sends one
stream for each native symbol. Therefore at most one active ticker of a source may use a native symbol.
"""

from feeds.errors import UnknownSource
from feeds.models import Ticker
from feeds.source_names import REPLAY, SIMULATED, SOURCE_TITLES
from feeds.sources.registry import find_source


def native_of(source: str, symbol: str, native: str) -> str:
    """Returns the native symbol of a ticker, or an empty text if the ticker has no native symbol."""
    if source == SIMULATED:
        return ""
    if native or source == REPLAY:
        return native or symbol
    try:
        return find_source(source).to_native(symbol)
    except (UnknownSource, ValueError):
        return ""


def describe_namesake(ticker: Ticker) -> str:
    """Returns an error text if another active ticker has the same native symbol at the same source.

    The text is empty if there is no such ticker, or if `ticker` is not active. The text is also empty if `ticker` is
    active in the database already, with the same source and native symbol.
    """
    if not ticker.active or ticker.source == SIMULATED:
        return ""
    columns = "source", "symbol", "native"
    stored = Ticker.objects.filter(pk=ticker.pk, active=True).values_list(*columns).first()
    native = native_of(ticker.source, ticker.symbol, ticker.native)
    # A row that breaks the rule in the database already is accepted. Otherwise no person could edit this row.
    if not native or (stored is not None and (stored[0], native_of(*stored)) == (ticker.source, native)):
        return ""
    others = Ticker.objects.filter(source=ticker.source, active=True).exclude(symbol=ticker.symbol).order_by("symbol")
    other = next((row[1] for row in others.values_list(*columns) if native_of(*row) == native), None)
    title = SOURCE_TITLES.get(ticker.source, ticker.source)
    return "" if other is None else f"The active ticker {other} has the native symbol {native} of {title} already."
