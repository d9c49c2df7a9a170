"""Sorts the rows of the table by a column. Pure. `static/watchlist/sort.js` has the same rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from watchlist.page.columns import COLUMNS, SORTABLE_COLUMNS, Column
from watchlist.page.rows import Row


@dataclass(frozen=True, slots=True)
class Sort:
    """A column's key and a direction; without a column rows are in the person's own order. Written `-percent`."""

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
    """A column's heading: its `aria-sort` and the sort that its link leads to; both empty if it cannot be sorted."""

    column: Column
    aria: str = ""
    leads_to: str = ""


def read_sort(text: str) -> Sort:
    """Reads `?sort=`. An unknown column gives the person's own order."""
    column = text.removeprefix("-")
    return Sort(column, text.startswith("-")) if column in SORTABLE_COLUMNS else OWN_ORDER


def headings(sort: Sort) -> dict[str, Heading]:
    """Returns the headings by column key.

    The first click on a heading sorts, the second reverses, the third returns to the person's own order.
    """
    return {column.key: _heading(column, sort) for column in COLUMNS}


def _heading(column: Column, sort: Sort) -> Heading:
    if column.sort_value is None:
        return Heading(column)
    first = Sort(column.key, column.descending_first)
    if sort.column != column.key:
        return Heading(column, "none", str(first))
    second = Sort(column.key, not column.descending_first)
    aria = "descending" if sort.descending else "ascending"
    return Heading(column, aria, str(second) if sort == first else "")
