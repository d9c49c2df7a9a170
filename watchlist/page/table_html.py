"""Writes HTML for tabs, rows, headings, suggestions and the menu of columns. Pure.

All texts are escaped, as in a template.
"""

# Django's template engine would need five times as long.

from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape
from typing import NamedTuple
from urllib.parse import quote

from django.utils.safestring import SafeString, mark_safe

from feeds.source_names import SIMULATED
from watchlist.lists.rules import Tab
from watchlist.page.columns import Column, ColumnChoice, list_choices, make_cells, pick_columns, row_data
from watchlist.page.rows import REFERENCE_NAMES, Row
from watchlist.page.sorting import Heading

KEPT_PARTS = 2048
"""The maximum number of texts in the cache of one function. A text takes about 1 KB."""
KEPT_MENUS = 128
# The rows are a hundred kilobytes, and the template engine would copy them about ten times. Therefore the rows are put
# into the finished page. No other text of a page contains ROWS_PLACE, because `<` is escaped.
ROWS_PLACE = "<rows-place/>"
"""The text in the template that `insert_rows` replaces with the rows."""


class Suggestion(NamedTuple):
    """A symbol that the page suggests, and its name."""

    symbol: str
    name: str


def symbol_path(symbol: str, query: str = "") -> str:
    """Returns the address of a symbol's drawer, such as `/s/BTC/USD?list=3`.

    Slashes are not escaped. Characters that a path cannot contain, such as `^`, are escaped.
    """
    return f"/s/{quote(symbol, safe='/=')}" + (f"?{query}" if query else "")


def alert_path(symbol: str) -> str:
    """Returns the address of the form for a new alert on a symbol, such as `/alerts/new/?symbol=BTC/USD`."""
    return f"/alerts/new/?symbol={quote(symbol)}"


def insert_rows(
    page: str, rows: Iterable[Row], columns: Sequence[Column], query: str, can_move: bool, has_actions: bool = True
) -> str:
    """Returns the page with the rows of the table at ROWS_PLACE. A page without a table is returned unchanged."""
    before, place, after = page.partition(ROWS_PLACE)
    return "".join([before, write_rows(rows, columns, query, can_move, has_actions), after]) if place else page


def write_rows(
    rows: Iterable[Row], columns: Sequence[Column], query: str, can_move: bool, has_actions: bool = True
) -> str:
    """Returns the rows of the table as HTML.

    `query` is the query of the links to drawers, such as `list=3`. `has_actions` says whether the rows have a menu.
    `can_move` says whether the menu has buttons to move the row.
    """
    return "".join([_write_row(row, columns, query, can_move, has_actions) for row in rows])


def write_headings(headings: Iterable[Heading], address: str, key: int | None, reference: str) -> SafeString:
    """Returns the cells of the table's head.

    `address` is the address of the page, and `key` the key of the list. `reference` is the name of the reference price.
    """
    return mark_safe("".join([_write_head(heading, address, key, reference) for heading in headings]))  # noqa: S308 - escaped


def write_tabs(tabs: Iterable[Tab], shown: int, address: str) -> SafeString:
    """Returns a link to each list. `shown` is the key of the shown list, and `address` the address of the page."""
    return mark_safe("".join([_write_tab(tab, tab.key == shown, address) for tab in tabs]))  # noqa: S308 - escaped


def write_reference(name: str) -> SafeString:
    """Returns the name of the reference price as HTML. A script changes the name when a market day begins."""
    names = escape("|".join(REFERENCE_NAMES))
    return mark_safe(f'<span data-references="{names}">{escape(name)}</span>')  # noqa: S308 - escaped


def write_attributes(row: Row) -> SafeString:
    """Returns the row's numbers as HTML attributes, such as ` data-base="224.1" …`."""
    return mark_safe(_write_numbers(row))  # noqa: S308 - fixed names and numbers only


def write_suggestions(suggestions: Iterable[Suggestion]) -> SafeString:
    """Returns the options that a browser without scripts suggests for a typed symbol."""
    return mark_safe("".join([_write_option(symbol, name) for symbol, name in suggestions]))  # noqa: S308 - escaped


@lru_cache(maxsize=KEPT_MENUS)
def write_column_choices(keys: tuple[str, ...]) -> SafeString:
    """Returns the entries of the menu of columns. `keys` are the chosen columns of the list."""
    return mark_safe("".join(map(_write_choice, list_choices(pick_columns(keys)))))  # noqa: S308 - escaped


def _write_tab(tab: Tab, is_shown: bool, address: str) -> str:
    target = f"{escape(address)}?list={tab.key}"
    data = f'data-list="{tab.key}" data-version="{tab.version}"'
    swap = f'hx-get="{target}" hx-target="#workspace" hx-swap="merge"'
    current = ' aria-current="page"' if is_shown else ""
    count = f'<small>{tab.count}<span class="hidden"> symbols</span></small>'
    return f'<li><a href="{target}" {data} {swap}{current}>{escape(tab.name)} {count}</a></li>'


def _write_head(heading: Heading, address: str, key: int | None, reference: str) -> str:
    column = heading.column
    hint = f' title="{escape(column.hint)}"' if column.hint else ""
    if not heading.aria:
        return f'<th scope="col" class="{column.key}"{hint}>{escape(column.heading)}</th>\n'
    link = _write_sort_link(heading, address, key, reference)
    if column.static_heading:
        link = f'<span class="still">{escape(column.static_heading)}</span><span class="moving">{link}</span>'
    return f'<th scope="col" class="{column.key}"{hint} aria-sort="{heading.aria}">{link}</th>\n'


def _write_sort_link(heading: Heading, address: str, key: int | None, reference: str) -> str:
    column, in_list = heading.column, f"list={key}&amp;" if key else ""
    versus = f'<span class="versus"> from {write_reference(reference)}</span>' if column.names_reference else ""
    target = f'{escape(address)}?{in_list}sort={heading.leads_to}" data-sort="{column.key}'
    return f'<a href="{target}">{escape(column.heading)}{versus}<i aria-hidden="true"></i></a>'


def _write_row(row: Row, columns: Sequence[Column], query: str, can_move: bool, has_actions: bool) -> str:
    ticker = row.ticker
    symbol, source = _write_identity(ticker.symbol, ticker.source)
    state = f' data-state="{escape(row.symbol_state)}"' if row.symbol_state else ""
    heading = _write_heading(ticker.symbol, ticker.name, query)
    note = f'<span class="remark">{escape(row.note)}</span>' if row.note else ""
    cells = "".join([f'<td class="{cell.css_classes}">{cell.content}</td>\n' for cell in make_cells(row, columns)])
    actions = _write_actions(ticker.symbol, can_move) if has_actions else ""
    attributes = f'{symbol}{_write_numbers(row)}{source}{state} class="{row.css_classes}"'
    return f"<tr{attributes}>\n{heading}{note}</th>\n{cells}{actions}</tr>\n"


@lru_cache(maxsize=KEPT_PARTS)
def _write_identity(symbol: str, source: str) -> tuple[str, str]:
    """Returns the attributes `data-symbol` and `data-source` of a row.

    For the source `simulated`, the second text is empty.
    """
    named_source = "" if source == SIMULATED else f' data-source="{escape(source)}"'
    return f' data-symbol="{escape(symbol)}"', named_source


def _write_numbers(row: Row) -> str:
    return "".join([f' data-{name}="{value}"' for name, value in row_data(row).items()])


@lru_cache(maxsize=KEPT_PARTS)
def _write_heading(symbol: str, name: str, query: str) -> str:
    """Returns the beginning of a row's heading: the symbol and the name."""
    link = f'<a class="symbol" href="{escape(symbol_path(symbol, query))}">{escape(symbol)}</a>'
    grip = '<i class="grip" aria-hidden="true"></i>'
    return f'<th scope="row">{grip}{link}<span class="name">{escape(name)}</span>'


@lru_cache(maxsize=KEPT_PARTS)
def _write_actions(symbol: str, can_move: bool) -> str:
    alert = f'<a href="{escape(alert_path(symbol))}">New alert</a>'
    symbol = escape(symbol)
    moves = (("top", "To the top"), ("up", "Move up"), ("down", "Move down")) if can_move else ()
    buttons = "".join(
        f'<button class="move" form="change" name="{name}" value="{symbol}">{label}</button>' for name, label in moves
    )
    remove = f'<button form="change" name="remove" value="{symbol}" class="grave">Remove {symbol}</button>'
    summary = f'<summary aria-label="Actions for {symbol}"><span aria-hidden="true">⋯</span></summary>'
    menu = f'<details class="menu">{summary}<div class="sheet-menu">{alert}{buttons}{remove}</div></details>'
    return f'<td class="more">{menu}</td>\n'


@lru_cache(maxsize=KEPT_PARTS)
def _write_option(symbol: str, name: str) -> str:
    return f'<option value="{escape(symbol)}">{escape(name)}</option>'


def _write_choice(choice: ColumnChoice) -> str:
    """Returns a button that shows or hides a column. A shown column also has two buttons that move the column."""
    key, heading = escape(choice.column.key), escape(choice.column.heading)
    if not choice.can_change:
        button = f"<span>{heading}</span>"
    else:
        is_checked, action = ("true", "hide") if choice.is_shown else ("false", "show")
        hint = f' title="{escape(choice.column.hint)}"' if choice.column.hint else ""
        attributes = f'id="column-{key}" aria-checked="{is_checked}" name="{action}" value="{key}"{hint}'
        button = f'<button role="checkbox" {attributes}>{heading}</button>'
    moves = (("up", "left", "↑"), ("down", "right", "↓")) if choice.is_shown else ()
    steps = "".join(
        f'<button class="step" id="{name}-{key}" name="{name}" value="{key}" '
        f'aria-label="Move {heading} to the {side}">{arrow}</button>'
        for name, side, arrow in moves
    )
    return f"<li>{button}{steps}</li>\n"
