"""Defines the sources that a feeder can connect to.

Pure: no I/O. A new source needs one more line in this module.
"""

from collections.abc import Mapping

from feeds.errors import UnknownSource
from feeds.sources.adapter import Source
from feeds.sources.alpaca import alpaca_source
from feeds.sources.binance import BINANCE
from feeds.sources.coinbase import COINBASE
from feeds.sources.kraken import KRAKEN

SOURCES: Mapping[str, Source] = {source.name: source for source in (KRAKEN, COINBASE, BINANCE, alpaca_source())}
"""A dict from name to source. The source Alpaca has its default feed."""

SOURCE_NAMES = tuple(SOURCES)


def find_source(name: str, alpaca_feed: str = "iex") -> Source:
    """Returns the source `name`. Raises UnknownSource for an unknown name or an unknown feed of Alpaca."""
    if name == "alpaca":
        return alpaca_source(alpaca_feed)
    if name not in SOURCES:
        raise UnknownSource(f"no source has the name “{name[:20]}”. There are {', '.join(SOURCE_NAMES)}.")
    return SOURCES[name]
