"""States of the table. `tests/cases/table/` holds the expected HTML of each state."""

from dataclasses import dataclass, field
from typing import Any

from feeds.wire import Update
from tests.support.watchlist.rows import NOW, STALE_AFTER, TickerStub
from watchlist.formatting.numerals import pick_numerals
from watchlist.page.columns import COLUMNS, Column, pick_columns
from watchlist.page.rows import Row, make_row
from watchlist.page.sorting import headings, read_sort
from watchlist.prices.day import Day, PriceRange

HOSTILE = """<script>alert("1")</script> & 'b' &amp; {{ x }} {% y %}"""
"""A text that would run as code if HTML, an attribute or a template contained the text unescaped."""

HOUR = [100.0 + (minute * 7 % 13) / 8 for minute in range(60)]
DAY = Day(99.5, 102.0, 99.0, 100.5, HOUR, 1_234_500_000_000)


@dataclass(frozen=True)
class TableState:
    """The arguments of `write_rows`."""

    rows: list[Row]
    columns: list[Column] = field(default_factory=lambda: pick_columns(()))
    query: str = ""
    can_move: bool = True


def make_state_row(ticker: TickerStub, price: float | None = 101.25, age: float = 0.0, **facts: Any) -> Row:
    """Returns a row whose price is `age` seconds older than NOW. The row has no price if `price` is None."""
    timestamp = int((NOW.timestamp() - age) * 1_000_000)
    update = None if price is None else Update(ticker.symbol, price, timestamp, 7, 2.5, price - 0.125, price + 0.125)
    return make_row(ticker, update, NOW, STALE_AFTER, **facts)


def make_rows(language: str = "en") -> list[Row]:
    """Returns a row for each kind of price, source and state."""
    facts: dict[str, Any] = {"day": DAY, "numerals": pick_numerals(language)}
    apple, coin = TickerStub("AAPL", "Apple"), TickerStub("BTC/USD", "Bitcoin", 90_000.0, 1, "kraken")
    tiny, index = TickerStub("SHIB", "Shiba", 2e-5, 8), TickerStub("^GSPC", "S&P 500", 5900.0)
    return [
        make_state_row(apple, year=PriceRange(50.0, 250.0), currency="USD", **facts),
        make_state_row(apple, 98.0, age=11, **facts),
        make_state_row(coin, 1_234_567.125, **facts),
        make_state_row(coin, 1_234.25, symbol_state="halted", **facts),
        make_state_row(tiny, 2.345e-5, numerals=facts["numerals"]),
        make_state_row(index, None, served=False, **facts),
        make_state_row(TickerStub("BRK.B", base_price=-0.0), None, symbol_state="unknown"),
        make_state_row(TickerStub("EURUSD=X", "Euro", 1.05, 5), 1.05, age=86_400 * 3, day=Day(volume=1)),
        make_state_row(TickerStub("FLAT", decimals=0), 100.5, day=Day(minute_closes=[5.0] * 3)),
    ]


def make_hostile_row() -> Row:
    ticker = TickerStub(HOSTILE, HOSTILE, source=HOSTILE)
    return make_state_row(ticker, day=DAY, currency=HOSTILE, symbol_state=HOSTILE)


STATES = {
    "default": TableState(make_rows()),
    "every_column": TableState(make_rows(), list(COLUMNS), "list=3&sort=-percent", can_move=False),
    "german": TableState(make_rows("de-DE"), list(COLUMNS)),
    "indian": TableState(make_rows("en-IN")),
    "one_column": TableState(make_rows()[:1], pick_columns(("age",))),
    "hostile": TableState([make_hostile_row()], list(COLUMNS), f"list={HOSTILE}"),
    "empty": TableState([]),
}

HEADS = {
    "head": (headings(read_sort(""), pick_columns(())), None, "base price"),
    "sorted_head": (headings(read_sort("-percent"), list(COLUMNS)), 3, "previous close or base"),
    "hostile_head": (headings(read_sort("age"), pick_columns(("change", "age"))), 0, HOSTILE),
}
"""A dict from each state of the table's head to its headings, the key of the list, and the name of the reference."""

MENUS: dict[str, tuple[str, ...]] = {
    "default_menu": (),
    "chosen_menu": ("last", "year-range", "age"),
    "full_menu": tuple(column.key for column in COLUMNS[1:]),
}

SUGGESTIONS = [("AAPL", "Apple"), ("BRK.B", ""), (HOSTILE, HOSTILE)]
