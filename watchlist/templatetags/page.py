"""Template tags and filters of the page."""

from collections.abc import Sequence
from urllib.parse import quote

from django import template
from django.utils.safestring import SafeString, mark_safe

from watchlist.page.columns import Cell, Column, make_cells, row_data, write_age
from watchlist.page.rows import Row

register = template.Library()


@register.simple_tag
def symbol_path(symbol: str, query: str = "") -> str:
    """Returns the address of a symbol's drawer, such as `/s/BTC/USD?list=3`.

    Slashes are not escaped. Characters that a path cannot contain, such as `^`, are escaped.
    """
    return f"/s/{quote(symbol, safe='/=')}" + (f"?{query}" if query else "")


@register.filter
def cells(row: Row, columns: Sequence[Column]) -> Sequence[Cell]:
    """Returns the cells of a row in the order of the columns."""
    return make_cells(row, columns)


@register.filter
def age(row: Row) -> str:
    """Returns the time of the row's price, or a word for a symbol that is not traded."""
    return write_age(row)


@register.filter
def data_attributes(row: Row) -> SafeString:
    """Returns the row's numbers as HTML attributes, such as ` data-base="224.1" …`."""
    attributes = (f' data-{name}="{value}"' for name, value in row_data(row).items())
    return mark_safe("".join(attributes))  # noqa: S308 - fixed names and numbers only
