"""Writes a person's lists, with prices, as CSV text. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence

from feeds.csv_cells import escape
from watchlist.formatting.numbers import write_number
from watchlist.formatting.numerals import PLAIN
from watchlist.lists.rules import NamedList
from watchlist.page.rows import Row
from watchlist.prices.change import change, change_percent

HEADER = ("list", "symbol", "name", "last", "change", "change_percent", "against", "as_of", "source")


def write_lists(lists: Iterable[tuple[str, Sequence[Row]]]) -> str:
    """Returns CSV text with a header and one line per row.

    `lists` holds pairs of a list's name and its rows. For a list without rows, one line holds only the name. The column
    `note` exists only if a row has a note.
    """
    lists = list(lists)
    has_notes = any(row.note for _, rows in lists for row in rows)
    header = (*HEADER, "note") if has_notes else HEADER
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    for name, rows in lists:
        if not rows:
            writer.writerow([escape(name), *[""] * (len(header) - 1)])
        for row in rows:
            writer.writerow([escape(name), *_cells(row), *([escape(row.note)] if has_notes else [])])
    return out.getvalue()


def write_symbols(lists: Iterable[NamedList]) -> str:
    """Returns CSV text with list names, symbols and notes. `lists.csv_import` can read this text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("list", "symbol", "note"))
    for each in lists:
        for symbol in each.symbols or [""]:
            writer.writerow([escape(each.name), escape(symbol), escape(each.notes.get(symbol, ""))])
    return out.getvalue()


def _cells(row: Row) -> list[str]:
    """Returns the cells of a row, without the list's name."""
    cells = [escape(row.ticker.symbol), escape(row.ticker.name)]
    if row.update is None:
        return [*cells, "", "", "", "", "", row.ticker.source]
    price, decimals = row.update.price, row.ticker.decimals
    # Numbers are not escaped, because a spreadsheet does not run a number as a formula.
    return [
        *cells,
        write_number(price, decimals, PLAIN),
        write_number(change(price, row.reference), decimals, PLAIN),
        write_number(change_percent(price, row.reference), 2, PLAIN),
        "base price" if row.day.previous_close is None else "previous close",
        row.iso,
        row.ticker.source,
    ]
