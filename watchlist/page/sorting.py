"""The order of rows on the page: own, or by a column. Pure. `static/watchlist/sort.js` has the same rules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from watchlist.page.rows import Row

COLUMNS: dict[str, Callable[[Row], Any]] = {
    "symbol": lambda row: row.ticker.symbol,
    "last": lambda row: row.update and row.update.price,
    "change": lambda row: row.update and row.update.price - row.reference,
    "percent": lambda row: row.update and row.update.price / row.reference,
    "open": lambda row: row.day.open,
    "high": lambda row: row.day.high,
    "low": lambda row: row.day.low,
    "age": lambda row: row.update and -row.update.timestamp,
}


@dataclass(frozen=True, slots=True)
class Sort:
    """`percent`, or `-percent` for the other way round; without a column rows stand as the person put them."""

    column: str = ""
    descending: bool = False

    def __str__(self) -> str:
        return ("-" if self.descending else "") + self.column

    def arrange(self, rows: Sequence[Row]) -> list[Row]:
        """What has no value comes last either way."""
        if not self.column:
            return list(rows)
        value = COLUMNS[self.column]
        valued = [row for row in rows if value(row) is not None]
        bare = [row for row in rows if value(row) is None]
        return sorted(valued, key=value, reverse=self.descending) + bare


OWN_ORDER = Sort()


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's header: its `aria-sort`, and the sort that its link leads to."""

    column: str
    aria: str
    leads_to: str


def read_sort(text: str) -> Sort:
    """From `?sort=`; what is no column is no sort."""
    column = text.removeprefix("-")
    return Sort(column, text.startswith("-")) if column in COLUMNS else Sort()


def headings(sort: Sort) -> dict[str, Heading]:
    """By column: the first press sorts, the second turns round, the third goes back to the person's own order.

    Numbers are most wanted with the largest on top, symbols from A.
    """
    return {column: _heading(column, sort) for column in COLUMNS}


def _heading(column: str, sort: Sort) -> Heading:
    first = "" if column in {"symbol", "age"} else "-"
    other = "-" if not first else ""
    if sort.column != column:
        return Heading(column, "none", first + column)
    aria = "descending" if sort.descending else "ascending"
    return Heading(column, aria, other + column if str(sort) == first + column else "")
