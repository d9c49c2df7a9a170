"""Writes a person's lists, with prices, as CSV text. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence

from feeds.csv_cells import escape
from watchlist.formatting.numbers import write_number
from watchlist.formatting.numerals import PLAIN
from watchlist.page.rows import Row
from watchlist.prices.change import change, change_percent

HEADER = ("list", "symbol", "name", "last", "change", "change_percent", "against", "as_of", "source")


def write_lists(lists: Iterable[tuple[str, Sequence[Row]]]) -> str:
    """Returns CSV text with a header and one line per row.

    `lists` holds pairs of a list's name and its rows. For a list without rows, one line holds only the name.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEADER)
    for name, rows in lists:
        if not rows:
            writer.writerow([escape(name), *[""] * (len(HEADER) - 1)])
        for row in rows:
            writer.writerow([escape(name), *_cells(row)])
    return out.getvalue()


def write_symbols(lists: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Returns CSV text with list names and symbols. `lists.csv_import` can read this text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEADER[:2])
    writer.writerows([escape(name), escape(symbol)] for name, symbols in lists for symbol in symbols or [""])
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
