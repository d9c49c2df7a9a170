"""Lists the sources that a feeder connects to, by name.

Pure: no I/O. A new source is one line here.
"""

from collections.abc import Mapping

from feeds.errors import UnknownSource
from feeds.sources.adapter import Source
from feeds.sources.alpaca import alpaca_source
from feeds.sources.binance import BINANCE
from feeds.sources.coinbase import COINBASE
from feeds.sources.kraken import KRAKEN

SOURCES: Mapping[str, Source] = {source.name: source for source in (KRAKEN, COINBASE, BINANCE, alpaca_source())}
"""All sources. Alpaca has its default feed here."""

SOURCE_NAMES = tuple(SOURCES)

UNAVAILABLE_FOR_LEGAL_REASONS = 451
UNAUTHORIZED, FORBIDDEN = 401, 403


def find_source(name: str, alpaca_feed: str = "iex") -> Source:
    """Returns a source. Raises UnknownSource for an unknown name or an unknown feed of Alpaca."""
    if name == "alpaca":
        return alpaca_source(alpaca_feed)
    if name not in SOURCES:
        raise UnknownSource(f"no source has the name “{name[:20]}”. There are {', '.join(SOURCE_NAMES)}.")
    return SOURCES[name]


def explain_refusal(source: Source, status: int) -> str:
    """Returns why no retry helps after an HTTP status of the source, for people. Empty if a retry may help.

    The status is that of a request, or of a refused WebSocket connection.
    """
    if status == UNAVAILABLE_FOR_LEGAL_REASONS:
        others = [other.name for other in SOURCES.values() if other.name != source.name and not other.needs_credentials]
        return f"{source.title} does not serve this country (HTTP 451): use another source, such as {others[0]}"
    if status in (UNAUTHORIZED, FORBIDDEN) and source.needs_credentials:
        prefix = source.name.upper()
        return f"{source.title} refuses the key (HTTP {status}): check {prefix}_KEY_ID and {prefix}_SECRET_KEY"
    return ""
