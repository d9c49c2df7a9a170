"""Finds tickers that share a native symbol of a source.

A source sends one stream of prices for each native symbol, so at most one active ticker of a source may use a native
symbol. The database cannot check this rule, because only the code of a source knows the native symbols of most tickers.
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
    """Returns a sentence that names another active ticker with the same native symbol at the same source.

    Returns an empty text if there is no such ticker, or if `ticker` is not active. Also returns an empty text if
    `ticker` is active in the database already, with the same source and native symbol.
    """
    if not ticker.active or ticker.source == SIMULATED:
        return ""
    columns = "source", "symbol", "native"
    stored = Ticker.objects.filter(pk=ticker.pk, active=True).values_list(*columns).first()
    native = native_of(ticker.source, ticker.symbol, ticker.native)
    # Otherwise a person could not edit a row that breaks the rule already.
    if not native or (stored is not None and (stored[0], native_of(*stored)) == (ticker.source, native)):
        return ""
    others = Ticker.objects.filter(source=ticker.source, active=True).exclude(symbol=ticker.symbol).order_by("symbol")
    other = next((row[1] for row in others.values_list(*columns) if native_of(*row) == native), None)
    title = SOURCE_TITLES.get(ticker.source, ticker.source)
    return "" if other is None else f"The active ticker {other} has the native symbol {native} of {title} already."
