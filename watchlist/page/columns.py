"""Defines the columns of the table: heading, cell, sort value and data for scripts. Pure.

The template, the sorting and the data attributes of a row use these definitions. A column whose cells change with live
prices also needs an entry in `static/watchlist/sort.js` and in `static/watchlist/row.js`. The file `page.css` sets the
width of each column.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString, mark_safe

from feeds.wire import Update
from watchlist.page.rows import Row
from watchlist.page.sparkline import draw_line
from watchlist.prices.change import change, change_percent

SortValue = str | float


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table. `key` is its name in `?sort=` and its CSS class.

    `content` is a function that returns the text or HTML of a row's cell. If the template writes the cell, `content` is
    None. `sort_value` is a function that returns the value by which a row is sorted. The function returns None for a
    row without a value. If the column cannot be sorted, `sort_value` itself is None.

    `descending_first` says that the first click on the heading sorts in descending order. `follows_side` adds the
    direction of the row's change to the CSS classes of a cell: up, down or flat. `names_reference` adds the name of the
    reference price to the heading. `static_heading` replaces the heading if no script runs.
    """

    key: str
    heading: str
    content: Callable[[Row], str] | None
    sort_value: Callable[[Row], SortValue | None] | None = None
    descending_first: bool = True
    follows_side: bool = False
    names_reference: bool = False
    static_heading: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """The CSS classes and the content of one cell."""

    css_classes: str
    content: str


def _from_update(read: Callable[[Update], float]) -> Callable[[Row], float | None]:
    return lambda row: None if row.update is None else read(row.update)


def _from_change(compute: Callable[[float, float], float]) -> Callable[[Row], float | None]:
    return lambda row: None if row.update is None else compute(row.update.price, row.reference)


# The functions below escape nothing: formatted numbers and times contain no character that HTML needs escaped.


def _sparkline(row: Row) -> SafeString:
    return draw_line(row.day.minute_closes, row.reference, row.side)


def _change(row: Row) -> SafeString:
    arrow = f'<span class="arrow" aria-hidden="true">{row.arrow}</span>'
    return mark_safe(f'{arrow}<span class="value">{row.change}</span>')  # noqa: S308 - see above


def _age(row: Row) -> SafeString:
    mark = "stale " if row.stale else ""
    return mark_safe(f'<time datetime="{row.iso}">{mark}{row.as_of}</time>')  # noqa: S308 - see above


def _price_column(key: str, heading: str, price: Callable[[Row], float | None]) -> Column:
    """Returns a sortable column of prices. A price has the ticker's number of decimals."""
    return Column(key, heading, lambda row: row.write_price(price(row)), sort_value=price)


COLUMNS: tuple[Column, ...] = (
    Column("symbol", "Symbol", None, lambda row: row.ticker.symbol, descending_first=False),
    Column("spark", "Last hour", _sparkline),
    Column("last", "Last", lambda row: row.last, _from_update(lambda update: update.price)),
    Column(
        "change",
        "Change",
        _change,
        _from_change(change),
        follows_side=True,
        names_reference=True,
    ),
    Column(
        "percent",
        "Change %",
        lambda row: row.percent,
        _from_change(change_percent),
        follows_side=True,
    ),
    _price_column("open", "Open", lambda row: row.day.open),
    _price_column("high", "High", lambda row: row.day.high),
    _price_column("low", "Low", lambda row: row.day.low),
    Column(
        "age",
        "Age",
        _age,
        _from_update(lambda update: -update.timestamp),
        descending_first=False,
        static_heading="As of",
    ),
)

SORTABLE_COLUMNS: Mapping[str, Column] = {column.key: column for column in COLUMNS if column.sort_value is not None}

NUMBER_WIDTHS = ((15, "longest"), (13, "longer"), (10, "long"))
"""Pairs of a minimum number of characters and a CSS class.

A table gets a class if its longest price has at least that many characters.
"""

ROW_DATA: Mapping[str, Callable[[Row], float | None]] = {
    "base": lambda row: row.ticker.base_price,
    "decimals": lambda row: row.ticker.decimals,
    "close": lambda row: row.day.previous_close,
    "open": lambda row: row.day.open,
    "high": lambda row: row.day.high,
    "low": lambda row: row.day.low,
    "price": _from_update(lambda update: update.price),
    "timestamp": _from_update(lambda update: update.timestamp),
    "seq": _from_update(lambda update: update.seq_id),
}
"""Maps the name of each data attribute of a row to a function.

Scripts read the attributes. The function returns the value of the attribute.
"""


def choose_number_width(rows: Sequence[Row]) -> str:
    """Returns the CSS class that the table needs for its longest price.

    The class is longest, longer, long or empty.
    """
    longest = max((len(row.write_price(value)) for row in rows for value in _prices(row)), default=0)
    return next((name for length, name in NUMBER_WIDTHS if longest >= length), "")


def _prices(row: Row) -> list[float | None]:
    price = None if row.update is None else row.update.price
    return [price, row.ticker.base_price, row.day.high]


def make_cells(row: Row) -> list[Cell]:
    """Returns the cells of a row in the order of the columns.

    Cells that the template writes are left out.
    """
    return [
        Cell(f"{column.key} {row.side}" if column.follows_side else column.key, column.content(row))
        for column in COLUMNS
        if column.content is not None
    ]


def row_data(row: Row) -> dict[str, str]:
    """Returns a dict from the name of a data attribute to its number as text.

    The numbers are exact and have no group marks. Unknown numbers are left out.
    """
    values = {name: read(row) for name, read in ROW_DATA.items()}
    return {name: repr(value) for name, value in values.items() if value is not None}
