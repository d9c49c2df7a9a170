"""Finds the columns of an imported file that hold list names, symbols and notes. Pure."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

MAX_HEADER_LENGTH = 40
SYMBOL_HEADERS = (
    *("symbol", "ticker", "instrument", "symbols", "tickers", "ticker symbol", "stock symbol", "security symbol"),
    *("symbole", "símbolo", "simbolo", "kürzel"),
)
LIST_HEADERS = (
    *("list", "watchlist", "list name", "watchlist name", "watch list", "portfolio", "portfolio name"),
    *("liste", "lista"),
)
NOTE_HEADERS = ("note", "notes", "comment", "comments", "notiz", "nota")


@dataclass(frozen=True, slots=True)
class Columns:
    """Says which columns of an imported file hold the symbols, the list names and the notes.

    `symbols` is the position of the column of symbols, from 0. `names` and `notes` are the positions of the other two
    columns, or None if the file has no such column. `count` is the number of cells of the header.
    """

    symbols: int
    names: int | None
    count: int
    notes: int | None = None


def find_columns(cells: Sequence[str]) -> Columns | None:
    """Returns the columns that a header names, or None if `cells` are not the cells of a header.

    Column names can have any case and any order.
    """
    headers = [_normalize(cell) for cell in cells]
    symbols = _find(headers, SYMBOL_HEADERS)
    if symbols is None:
        return None
    return Columns(symbols, _find(headers, LIST_HEADERS), len(headers), _find(headers, NOTE_HEADERS))


def _find(headers: Sequence[str], words: Sequence[str]) -> int | None:
    return next((headers.index(word) for word in words if word in headers), None)


def _normalize(cell: str) -> str:
    # Normalization takes quadratic time, so the length is limited first.
    text = unicodedata.normalize("NFKC", cell[:MAX_HEADER_LENGTH])
    return " ".join(text.replace("_", " ").casefold().split())
