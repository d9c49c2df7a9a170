"""Writes a person's lists with their prices as a CSV file. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence

from feeds.csv_cells import escape
from watchlist.page.rows import Row

COLUMNS = ("list", "symbol", "name", "last", "change", "change_percent", "against", "as_of", "source")


def write_lists(lists: Iterable[tuple[str, Sequence[Row]]]) -> str:
    """All lists under one header line; an empty list has one line without a symbol."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for name, rows in lists:
        if not rows:
            writer.writerow([escape(name), *[""] * (len(COLUMNS) - 1)])
        for row in rows:
            writer.writerow([escape(name), *_cells(row)])
    return out.getvalue()


def _cells(row: Row) -> list[str]:
    """Numbers as programs write them; they need no apostrophe, a spreadsheet runs nothing of them."""
    decimals = row.ticker.decimals
    cells = [escape(row.ticker.symbol), escape(row.ticker.name)]
    if row.update is None:
        return [*cells, "", "", "", "", "", "simulated"]
    against = "base price" if row.day.previous_close is None else "previous close"
    change = row.update.price - row.reference
    percent = (row.update.price / row.reference - 1) * 100
    return [
        *cells,
        f"{row.update.price:.{decimals}f}",
        f"{change:.{decimals}f}",
        f"{percent:.2f}",
        against,
        row.iso,
        "simulated",
    ]
