"""Reads the tickers of a list from the database."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection


class ListedTicker(NamedTuple):
    """A ticker in a list, as a page shows it.

    `note` is the note of the list's owner about the ticker. The other fields are those of `feeds.models.Ticker`.
    """

    symbol: str
    name: str
    base_price: float
    decimals: int
    active: bool
    source: str
    currency: str
    note: str = ""


# Each page makes one of these queries. Django would take longer to build it than the database takes to answer it.
SELECT = f"SELECT {', '.join(f'ticker.{name}' for name in ListedTicker._fields[:-1])}"
OF_TICKERS = "FROM feeds_ticker AS ticker"
OF_LIST = f"""
{OF_TICKERS}
JOIN watchlist_entry AS entry ON entry.ticker_id = ticker.id
JOIN watchlist_watchlist AS list ON list.id = entry.watchlist_id
WHERE list.id = %s AND list.owner_id = %s
ORDER BY entry.position, entry.id
"""


def read_listed_tickers(list_key: int, owner_pk: int) -> list[ListedTicker]:
    """Returns the tickers of one list of an account, in the order of the list."""
    return _read(f"{SELECT}, entry.note {OF_LIST}", [list_key, owner_pk])


def read_named_tickers(symbols: Sequence[str], notes: Mapping[str, str] | None = None) -> list[ListedTicker]:
    """Returns the tickers with these symbols in this order. Symbols without a ticker are left out.

    `notes` maps symbols to notes.
    """
    if not symbols:
        return []
    marks = ", ".join(["%s"] * len(symbols))
    found = _read(f"{SELECT}, '' {OF_TICKERS} WHERE ticker.symbol IN ({marks})", symbols)
    known = {ticker.symbol: ticker for ticker in found}
    if notes:
        known |= {symbol: known[symbol]._replace(note=note) for symbol, note in notes.items() if symbol in known}
    return [known[symbol] for symbol in symbols if symbol in known]


def _read(query: str, parameters: Sequence[Any]) -> list[ListedTicker]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return [ListedTicker._make(row) for row in cursor.fetchall()]
