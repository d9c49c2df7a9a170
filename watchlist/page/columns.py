"""Defines the columns of the table: heading, cell, sort value and data for scripts. Pure.

The file `page.css` sets the width of each column. A column whose cells change with live prices also needs an entry in
`static/watchlist/sort.js` and in `static/watchlist/row.js`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import msgspec

from feeds.wire import Update
from watchlist.page.rows import Row
from watchlist.page.svg.range_bar import draw_range
from watchlist.page.svg.sparkline import draw_line
from watchlist.prices.change import change, change_percent
from watchlist.prices.day import PriceRange

SYMBOL_STATE_WORDS = {"unknown": "Unknown", "halted": "Halted", "closed": "Closed"}
"""The word for each state of a symbol. `static/watchlist/row.js` has the same words."""

SortValue = str | float


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table.

    - `key`: the name of the column in `?sort=`, and its CSS class
    - `content`: a function that returns the HTML of a row's cell; None if `table_html` writes the cell
    - `sort_value`: a function that returns the value to sort a row by; None if the column cannot be sorted
    - `descending_first`: whether the first click on the heading sorts in descending order
    - `follows_side`: whether a cell has the CSS class of the change: `up`, `down` or `flat`
    - `names_reference`: whether the heading names the reference price
    - `static_heading`: the heading in a browser without scripts; empty if `heading` is used
    - `grows_old`: whether a cell gets the CSS class `old` when its bid or ask is old
    - `hint`: the text of a tooltip
    """

    key: str
    heading: str
    content: Callable[[Row], str] | None
    sort_value: Callable[[Row], SortValue | None] | None = None
    descending_first: bool = True
    follows_side: bool = False
    names_reference: bool = False
    static_heading: str = ""
    grows_old: bool = False
    hint: str = ""


class Cell(msgspec.Struct, frozen=True, gc=False):
    """The CSS classes and the HTML of one cell."""

    css_classes: str
    content: str


def _from_update(read: Callable[[Update], float]) -> Callable[[Row], float | None]:
    return lambda row: None if row.update is None else read(row.update)


def _from_change(compute: Callable[[float, float], float]) -> Callable[[Row], float | None]:
    return lambda row: None if row.update is None else compute(row.update.price, row.reference)


# The functions below do not escape numbers and times: these contain no character that HTML needs escaped.


def _sparkline(row: Row) -> str:
    return draw_line(row.day.minute_closes, row.reference, row.side)


def _last(row: Row) -> str:
    if not row.currency:
        return row.last
    return f'{row.last}<small class="currency"> {escape(row.currency)}</small>'


def _change(row: Row) -> str:
    arrow = f'<span class="arrow" aria-hidden="true">{row.arrow}</span>'
    return f'{arrow}<span class="value">{row.change}</span>'


def _age(row: Row) -> str:
    return f'<time datetime="{row.iso}">{write_age(row)}</time>'


def write_age(row: Row) -> str:
    """Returns the text for the age of a price: normally a time, with `stale` in front if the price is stale.

    Returns a word from SYMBOL_STATE_WORDS, such as `Halted`, in two cases:

    - the source does not know the symbol,
    - the symbol is halted or its market is closed, and the price is not stale.
    """
    word = SYMBOL_STATE_WORDS.get(row.symbol_state)
    if word is not None and (row.symbol_state == "unknown" or not row.stale):
        return word
    return f"stale {row.as_of}" if row.stale else row.as_of


def _price_column(key: str, heading: str, price: Callable[[Row], float | None], grows_old: bool = False) -> Column:
    """Returns a sortable column of prices. A price has the ticker's number of decimals."""
    return Column(key, heading, lambda row: row.write_price(price(row)), sort_value=price, grows_old=grows_old)


def _range_column(key: str, heading: str, read: Callable[[Row], PriceRange | None], hint: str) -> Column:
    """Returns a column of price ranges, sorted by the position of the last price between low and high."""

    def content(row: Row) -> str:
        found = read(row)
        low, high = (None, None) if found is None else (found.low, found.high)
        return draw_range(found, row.price, row.write_price(low), row.write_price(high))

    def sort_value(row: Row) -> float | None:
        found = read(row)
        return None if found is None or row.price is None else found.share(row.price)

    return Column(key, heading, content, sort_value, hint=hint)


COLUMNS: tuple[Column, ...] = (
    Column("symbol", "Symbol", None, lambda row: row.ticker.symbol, descending_first=False),
    Column("spark", "Last hour", _sparkline),
    Column("last", "Last", _last, _from_update(lambda update: update.price)),
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
    _price_column("bid", "Bid", lambda row: row.bid, grows_old=True),
    _price_column("ask", "Ask", lambda row: row.ask, grows_old=True),
    Column(
        "volume",
        "Volume",
        lambda row: row.volume,
        lambda row: row.day.volume or None,
        hint="The sum of the trades since the market day began",
    ),
    _range_column("day-range", "Day range", lambda row: row.day.range, "From the day's low to its high"),
    _range_column("year-range", "52-week range", lambda row: row.year, "From the lowest to the highest recorded price"),
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

DEFAULT_KEYS = ("symbol", "spark", "last", "change", "percent", "volume", "open", "high", "low", "age")
"""The columns of a list for which the person has not chosen columns. A narrow table hides some of these columns."""

# Without the age, only a colour would tell which prices are old.
ALWAYS_SHOWN = ("symbol", "age")
"""The columns that cannot be hidden."""

SORTABLE_COLUMNS: Mapping[str, Column] = {column.key: column for column in COLUMNS if column.sort_value is not None}

COLUMNS_BY_KEY: Mapping[str, Column] = {column.key: column for column in COLUMNS}

NUMBER_WIDTHS = ((15, "longest"), (13, "longer"), (10, "long"))
"""Pairs (number of characters, CSS class).

A table whose longest price has at least this number of characters gets the class. The first such pair counts.
"""


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """An entry in the menu of columns. `can_change` says whether a person can hide or show the column."""

    column: Column
    is_shown: bool
    can_change: bool


def pick_columns(keys: Sequence[str]) -> list[Column]:
    """Returns the columns of a table: the column of symbols, then the columns with these keys, in this order.

    Adds the column `age` if it is missing, and skips unknown keys. If no key is known, returns the default columns.
    """
    known = [key for key in dict.fromkeys(keys) if key in COLUMNS_BY_KEY and key != "symbol"]
    if not known:
        return [COLUMNS_BY_KEY[key] for key in DEFAULT_KEYS]
    missing = [] if "age" in known else ["age"]
    return [COLUMNS_BY_KEY[key] for key in ("symbol", *known, *missing)]


def change_keys(keys: Sequence[str], action: str, key: str) -> tuple[str, ...]:
    """Returns the keys of a list's columns after a person's change. Empty keys stand for the default columns.

    `action` is `show`, `hide`, `up`, `down` or `default`. `key` is the key of the column to change. An impossible
    change has no effect.
    """
    if action == "default":
        return ()
    shown = [column.key for column in pick_columns(keys)[1:]]
    if action == "show" and key in COLUMNS_BY_KEY and key not in (*shown, "symbol"):
        shown.insert(len(shown) - (shown[-1] == "age"), key)
    elif action == "hide" and key in shown and key not in ALWAYS_SHOWN:
        shown.remove(key)
    elif action in {"up", "down"} and key in shown:
        position = shown.index(key) + (1 if action == "down" else -1)
        shown.remove(key)
        shown.insert(max(0, position), key)
    return () if tuple(shown) == DEFAULT_KEYS[1:] else tuple(shown)


def list_choices(columns: Sequence[Column]) -> list[ColumnChoice]:
    """Returns the entries of the menu of columns: the shown columns in their order, then the hidden columns.

    Leaves out the column of symbols, which cannot be hidden or moved.
    """
    hidden = [column for column in COLUMNS if column not in columns]
    return [
        ColumnChoice(column, column in columns, column.key not in ALWAYS_SHOWN)
        for column in (*columns, *hidden)
        if column.key != "symbol"
    ]


def choose_number_width(rows: Sequence[Row]) -> str:
    """Returns the CSS class that makes the columns wide enough for the longest price, or "" for short prices."""
    # Of all prices with the same number of decimals, the largest has the longest text.
    largest: dict[int, tuple[float, Row]] = {}
    for row in rows:
        value, decimals = max(filter(None, _prices(row)), default=0.0), row.ticker.decimals
        if decimals not in largest or value > largest[decimals][0]:
            largest[decimals] = value, row
    longest = max((len(row.write_price(value)) for value, row in largest.values()), default=0)
    return next((name for length, name in NUMBER_WIDTHS if longest >= length), "")


def _prices(row: Row) -> tuple[float | None, ...]:
    return row.price, row.ticker.base_price, row.day.high


def make_cells(row: Row, columns: Sequence[Column] = COLUMNS) -> list[Cell]:
    """Returns the cells of a row in the order of the columns. Columns without `content` are left out."""
    return [Cell(_css_classes(column, row), column.content(row)) for column in columns if column.content is not None]


def _css_classes(column: Column, row: Row) -> str:
    if column.follows_side:
        return f"{column.key} {row.side}"
    return f"{column.key} old" if column.grows_old and row.pair_is_old else column.key


def row_data(row: Row) -> dict[str, str]:
    """Returns the numbers of a row for scripts, as data attributes such as `{"base": "224.1", "decimals": "2"}`.

    The numbers are not rounded and have no group marks. Unknown numbers are left out.
    """
    ticker, day, year, update = row.ticker, row.day, row.year, row.update
    numbers = {
        "base": ticker.base_price,
        "decimals": ticker.decimals,
        "close": day.previous_close,
        "open": day.open,
        "high": day.high,
        "low": day.low,
        "bid": row.bid,
        "ask": row.ask,
        "volume": day.volume or None,
    }
    if year is not None:
        numbers |= {"year-low": year.low, "year-high": year.high}
    if update is not None:
        numbers |= {"price": update.price, "timestamp": update.timestamp, "seq": update.seq_id}
    return {name: repr(number) for name, number in numbers.items() if number is not None}
