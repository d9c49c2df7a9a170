"""Holds the tickers that a gateway knows, and builds the `ticker` frames about these tickers.

`Catalog` says which symbols clients may subscribe to. `Catalog` does no I/O; `load_tickers` reads the database.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from asgiref.sync import sync_to_async
from django.db import close_old_connections

from feeds.models import Tape, Ticker
from feeds.source_names import SIMULATED
from watchlist.gateway.messages import StateMessage, make_state
from watchlist.prices.source_labels import ALWAYS, kind_of_sources, market_of


@dataclass(frozen=True, slots=True)
class Listing:
    """The attributes of a ticker that clients see.

    `base` is the base price, or None if unknown. `previous_close` is None before the first close. `market` is `open`,
    `closed`, or `always` for a symbol that is traded around the clock.
    """

    symbol: str
    name: str = ""
    base: float | None = None
    decimals: int = 2
    active: bool = True
    previous_close: float | None = None
    source: str = SIMULATED
    currency: str = ""
    market: str = ALWAYS


def ticker_payload(listing: Listing) -> bytes:
    """Returns the JSON text of a `ticker` frame about a listing."""
    frame: dict[str, Any] = {
        "type": "ticker",
        "symbol": listing.symbol,
        "name": listing.name,
        "base": listing.base,
        "decimals": listing.decimals,
        "active": listing.active,
        "previous_close": listing.previous_close,
        "source": listing.source,
        "currency": listing.currency,
        "market": listing.market,
    }
    return msgspec.json.encode(frame)


def make_ticker_messages(listings: Iterable[Listing]) -> dict[str, StateMessage]:
    """Returns a dict from the symbol of each listing to a message with the `ticker` frame."""
    return {listing.symbol: make_state(listing.symbol, ticker_payload(listing)) for listing in listings}


class Catalog:
    """Holds the newest contents of the ticker table.

    `only` contains the symbols of the setting GATEWAY_VALID_TICKERS. Clients may subscribe only to these symbols. If
    `only` is empty, clients may subscribe to the symbols of all active tickers.
    """

    def __init__(self, only: Sequence[str] = ()) -> None:
        self._only = frozenset(only)
        self._listings: dict[str, Listing] = {}
        self._messages: dict[str, StateMessage] = {}
        self.loaded = False
        """Whether the ticker table has been read."""
        self.sources: frozenset[str] = frozenset()
        """The sources of the active tickers to which clients may subscribe."""
        self.source = kind_of_sources(self.sources)
        """The kind of `sources`: `simulated`, `replay`, `live`, or `mixed` for sources of different kinds."""

    def allows(self, symbol: str) -> bool:
        """Returns whether a client may subscribe to the symbol now."""
        if self._only:
            return symbol in self._only
        listing = self._listings.get(symbol)
        return listing is not None and listing.active

    def get_listing(self, symbol: str) -> Listing:
        """Returns the listing of a symbol. If no ticker has the symbol, the listing has no name and no base price.

        Such a listing is active only if the setting GATEWAY_VALID_TICKERS contains the symbol.
        """
        return self._listings.get(symbol) or Listing(symbol, active=symbol in self._only)

    def get_ticker_message(self, symbol: str) -> StateMessage:
        """Returns the message with the `ticker` frame of a symbol. Returns the same object until the ticker changes."""
        message = self._messages.get(symbol)
        if message is None:
            message = self._messages[symbol] = make_state(symbol, ticker_payload(self.get_listing(symbol)))
        return message

    @property
    def hidden(self) -> list[str]:
        """Returns the symbols of the active tickers that GATEWAY_VALID_TICKERS does not contain.

        If the setting is empty, the result is empty.
        """
        listings = self._listings.values()
        return [found.symbol for found in listings if self._only and found.active and found.symbol not in self._only]

    def replace(self, listings: Iterable[Listing]) -> list[Listing]:
        """Replaces the stored listings with `listings`. Returns the listings that changed.

        The listing of a removed ticker is returned as inactive.
        """
        new = {listing.symbol: listing for listing in listings}
        changed = [listing for listing in new.values() if self._listings.get(listing.symbol) != listing]
        changed += [replace(old, active=False) for symbol, old in self._listings.items() if symbol not in new]
        self._listings, self.loaded = new, True
        if changed:
            self.sources = frozenset(each.source for each in new.values() if each.active and self.allows(each.symbol))
            self.source = kind_of_sources(self.sources)
        for listing in changed:
            self._messages.pop(listing.symbol, None)
        return changed


@sync_to_async
def load_tickers() -> list[Listing]:
    """Returns the listings of all tickers, active and inactive.

    `market` is `open` or `always`, never `closed`. Raises django.db.DatabaseError if the database cannot be read.
    """
    close_old_connections()  # Django closes broken connections only at the end of a request. No request runs here.
    rows = Ticker.objects.values_list("symbol", "name", "base_price", "decimals", "active", "source", "currency")
    tapes = Tape.objects.exclude(previous_close=None).values_list("symbol", "source", "previous_close")
    closes = {(symbol, source): close for symbol, source, close in tapes}
    return [
        Listing(*row[:5], closes.get((row[0], row[5])), row[5], row[6], market_of(row[5], is_closed=False))
        for row in rows
    ]
