"""Sorts the rows of the table by a column. Pure.

`static/watchlist/sort.js` repeats the rules for the browser.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from watchlist.page.columns import COLUMNS, SORTABLE_COLUMNS, Column
from watchlist.page.rows import Row


@dataclass(frozen=True, slots=True)
class Sort:
    """The column by which rows are sorted, and the direction.

    `column` is the key of the column, or empty for the person's own order. `str()` returns the value of `?sort=`, such
    as `percent`, or `-percent` for descending order.
    """

    column: str = ""
    descending: bool = False

    def __str__(self) -> str:
        return ("-" if self.descending else "") + self.column

    def arrange(self, rows: Sequence[Row]) -> list[Row]:
        """Returns the sorted rows. Rows without a value come last in both directions."""
        column = SORTABLE_COLUMNS.get(self.column)
        if column is None or column.sort_value is None:
            return list(rows)
        values: list[tuple[Any, Row]] = [(column.sort_value(row), row) for row in rows]
        valued = [pair for pair in values if pair[0] is not None]
        valued.sort(key=lambda pair: pair[0], reverse=self.descending)
        return [row for _, row in valued] + [row for value, row in values if value is None]


OWN_ORDER = Sort()


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a column.

    `aria` is the value of the attribute `aria-sort`, or empty if the column cannot be sorted. `leads_to` is the value
    of `?sort=` after a click, or empty for the person's own order.
    """

    column: Column
    aria: str = ""
    leads_to: str = ""


def read_sort(text: str) -> Sort:
    """Returns the sort for a value of `?sort=`, such as `-percent`. An unknown column means the person's own order."""
    column = text.removeprefix("-")
    return Sort(column, text.startswith("-")) if column in SORTABLE_COLUMNS else OWN_ORDER


def headings(sort: Sort, columns: Sequence[Column] = COLUMNS) -> dict[str, Heading]:
    """Returns a dict from column key to heading, in the order of the columns.

    The first click on a heading sorts the rows. The second click reverses the order. The third click returns to the
    person's own order.
    """
    return {column.key: _heading(column, sort) for column in columns}


def _heading(column: Column, sort: Sort) -> Heading:
    if column.sort_value is None:
        return Heading(column)
    first = Sort(column.key, column.descending_first)
    if sort.column != column.key:
        return Heading(column, "none", str(first))
    second = Sort(column.key, not column.descending_first)
    aria = "descending" if sort.descending else "ascending"
    return Heading(column, aria, str(second) if sort == first else "")
