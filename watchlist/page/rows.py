"""Makes a row of the table from a ticker, its price and its market day. Pure.

`static/watchlist/format.js` writes numbers by the same rules. A test compares this module with the script.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Protocol

import msgspec

from feeds.wire import Update
from watchlist.formatting.moments import write_moment
from watchlist.formatting.numbers import (
    ARROWS,
    NO_VALUE,
    side_of,
    write_number,
    write_percent,
    write_signed,
    write_volume,
)
from watchlist.formatting.numerals import ENGLISH, Numerals
from watchlist.prices.change import change, change_percent, reference_price
from watchlist.prices.day import NO_DAY, Day, PriceRange

PAIR_OLD_AFTER = timedelta(seconds=10)
"""The age at which bid and ask become grey. `static/watchlist/columns.js` has the same limit."""


class TickerFacts(Protocol):
    """The attributes of a ticker that a row uses."""

    @property
    def symbol(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def base_price(self) -> float: ...

    @property
    def decimals(self) -> int: ...

    @property
    def source(self) -> str: ...


REFERENCE_NAMES = ("base price", "previous close or base", "previous close")
"""The names of the reference price if no row, some rows, or all rows of a table have a previous close."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of the table. `last`, `change`, `percent` and `as_of` are texts to show.

    - `update`: the newest update; None if there is no price
    - `side`: the direction of the change: `up`, `down` or `flat`
    - `moment`: the time of the update
    - `served`: whether this site offers the ticker
    - `year`: the 52-week range; None if the range is unknown or was not read
    - `pair_is_old`: whether bid and ask are older than PAIR_OLD_AFTER
    - `currency`: the currency to show beside the last price; empty to show none
    - `symbol_state`: the state of the symbol at the source: `unknown`, `halted`, `closed` or empty
    - `note`: the person's note about the symbol; empty if there is none
    """

    ticker: TickerFacts
    update: Update | None
    day: Day
    last: str = NO_VALUE
    change: str = NO_VALUE
    percent: str = NO_VALUE
    side: str = "flat"
    moment: datetime | None = None
    as_of: str = NO_VALUE
    stale: bool = False
    served: bool = True
    numerals: Numerals = ENGLISH
    year: PriceRange | None = None
    pair_is_old: bool = False
    currency: str = ""
    symbol_state: str = ""
    note: str = ""

    @property
    def arrow(self) -> str:
        return ARROWS[self.side]

    @property
    def css_classes(self) -> str:
        """Returns the CSS classes of the row, separated by spaces: any of `stale`, `off` and `no-price`.

        `off` means that this site does not offer the ticker.
        """
        if self.update is not None and self.served and not self.stale:
            return ""  # the usual case
        classes = {"stale": self.stale, "off": not self.served, "no-price": self.update is None}
        return " ".join(name for name, applies in classes.items() if applies)

    @property
    def iso(self) -> str:
        """Returns the time of the update, such as `2026-11-22T16:02:11.000Z`; empty if there is no price."""
        return "" if self.moment is None else self.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def reference(self) -> float:
        return reference_price(self.ticker.base_price, self.day.previous_close)

    @property
    def price(self) -> float | None:
        return None if self.update is None else self.update.price

    @property
    def bid(self) -> float | None:
        return None if self.update is None else self.update.bid or None

    @property
    def ask(self) -> float | None:
        return None if self.update is None else self.update.ask or None

    @property
    def volume(self) -> str:
        return write_volume(self.day.volume, self.numerals)

    def write_price(self, value: float | None) -> str:
        """Returns a price as text with the ticker's number of decimals, or NO_VALUE for None."""
        return NO_VALUE if value is None else write_number(value, self.ticker.decimals, self.numerals)


def name_reference(rows: Sequence[Row]) -> str:
    """Returns the name of the reference price, one of REFERENCE_NAMES, for a table with these rows.

    `static/watchlist/quotes.js` has the same rule. `tests/cases/reference_name.json` tests both functions.
    """
    has_close = {row.day.previous_close is not None for row in rows}
    if len(has_close) == 2:
        return REFERENCE_NAMES[1]
    return REFERENCE_NAMES[2 if True in has_close else 0]


def make_row(
    ticker: TickerFacts,
    update: Update | None,
    now: datetime,
    stale_after: timedelta,
    day: Day = NO_DAY,
    zone: tzinfo = UTC,
    served: bool = True,
    numerals: Numerals = ENGLISH,
    year: PriceRange | None = None,
    currency: str = "",
    symbol_state: str = "",
    note: str = "",
) -> Row:
    """Returns the row of a ticker.

    `update` is the ticker's newest update, or None. A price is stale if it is older than `stale_after`, or if the
    source does not know the symbol. `now` must have a time zone.
    """
    facts: dict[str, Any] = {"served": served, "numerals": numerals, "currency": currency}
    facts |= {"symbol_state": symbol_state, "note": note}
    if update is None:
        return Row(ticker, None, day, year=year, stale=symbol_state == "unknown", **facts)
    reference = reference_price(ticker.base_price, day.previous_close)
    change_text = write_signed(change(update.price, reference), ticker.decimals, numerals)
    moment = datetime.fromtimestamp(update.timestamp / 1_000_000, UTC)
    day = _include_price(day, update.price)
    return Row(
        ticker,
        update,
        day,
        write_number(update.price, ticker.decimals, numerals),
        change_text,
        write_percent(change_percent(update.price, reference), numerals),
        side_of(change_text),
        moment,
        write_moment(moment, now, zone),
        stale=symbol_state == "unknown" or now - moment > stale_after,
        year=year and year.include(update.price),
        pair_is_old=now - moment > PAIR_OLD_AFTER,
        **facts,
    )


def _include_price(day: Day, price: float) -> Day:
    """Returns `day` with its high and low extended to contain `price`."""
    # The recorder may not have stored the newest price yet.
    if day.high is None or day.low is None or day.low <= price <= day.high:
        return day
    high, low = max(day.high, price), min(day.low, price)
    return Day(day.open, high, low, day.previous_close, day.minute_closes, day.volume)
