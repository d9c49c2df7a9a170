"""The tickers a gateway knows: which symbols may be asked for, and what a page is told of them.

`Catalog` is a plain value holder; `load_tickers` asks all there is to ask. The tables are read every 0.5 s, for what
`QuerySet.update` changes sends no signal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from asgiref.sync import sync_to_async
from django.db import close_old_connections

from feeds.models import Tape, Ticker
from watchlist.gateway.fanout.delivery import Item, fact


@dataclass(frozen=True, slots=True)
class Listing:
    """One ticker as clients see it; `base` and `previous_close`, None before there was one, in its currency."""

    symbol: str
    name: str = ""
    base: float | None = None
    decimals: int = 2
    active: bool = True
    previous_close: float | None = None


def ticker_payload(listing: Listing) -> bytes:
    """The frame of `?meta=1` for one ticker."""
    frame: dict[str, Any] = {
        "type": "ticker",
        "symbol": listing.symbol,
        "name": listing.name,
        "base": listing.base,
        "decimals": listing.decimals,
        "active": listing.active,
        "previous_close": listing.previous_close,
    }
    return msgspec.json.encode(frame)


def facts_of(listings: Iterable[Listing]) -> dict[str, Item]:
    """The ticker frames of these tickers by symbol, to be kept once for all sockets."""
    return {listing.symbol: fact(listing.symbol, ticker_payload(listing)) for listing in listings}


class Catalog:
    """The newest table read. `only` (GATEWAY_VALID_TICKERS) names exactly what is valid, whatever the table says."""

    def __init__(self, only: Sequence[str] = ()) -> None:
        self._only = frozenset(only)
        self._listings: dict[str, Listing] = {}
        self._facts: dict[str, Item] = {}
        self.loaded = False

    def allows(self, symbol: str) -> bool:
        """Whether a client may subscribe to the symbol now."""
        if self._only:
            return symbol in self._only
        listing = self._listings.get(symbol)
        return listing is not None and listing.active

    def listing_of(self, symbol: str) -> Listing:
        """What is known of a symbol; a valid one that the table does not have has no name and no base price."""
        return self._listings.get(symbol) or Listing(symbol, active=symbol in self._only)

    def fact_of(self, symbol: str) -> Item:
        """The ticker frame of a symbol: one for all sockets, as long as nothing changes."""
        known = self._facts.get(symbol)
        if known is None:
            known = self._facts[symbol] = fact(symbol, ticker_payload(self.listing_of(symbol)))
        return known

    @property
    def hidden(self) -> list[str]:
        """Active tickers that `only` hides."""
        listings = self._listings.values()
        return [found.symbol for found in listings if self._only and found.active and found.symbol not in self._only]

    def replace(self, listings: Iterable[Listing]) -> list[Listing]:
        """Takes a new table; returns what changed, a ticker that is gone as inactive."""
        new = {listing.symbol: listing for listing in listings}
        changed = [listing for listing in new.values() if self._listings.get(listing.symbol) != listing]
        changed += [self._gone(old) for symbol, old in self._listings.items() if symbol not in new]
        self._listings, self.loaded = new, True
        for listing in changed:
            self._facts.pop(listing.symbol, None)
        return changed

    @staticmethod
    def _gone(old: Listing) -> Listing:
        return replace(old, active=False)


@sync_to_async
def load_tickers() -> list[Listing]:
    """The whole table, the inactive ones too, with what is on record of them. Raises django.db.DatabaseError."""
    close_old_connections()  # nobody else would close one that broke: there is no request here
    rows = Ticker.objects.values_list("symbol", "name", "base_price", "decimals", "active")
    closes = dict(Tape.objects.exclude(previous_close=None).values_list("symbol", "previous_close"))
    return [Listing(*row, previous_close=closes.get(row[0])) for row in rows]
