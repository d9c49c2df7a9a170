"""Makes a row of the table from a ticker, price and market day. Pure.

`static/watchlist/format.js` writes the same numbers by the same rules. So the first live update changes a cell only if
its value changed. A test compares the results of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from feeds.wire import Update
from watchlist.formatting.moments import write_moment
from watchlist.formatting.numbers import ARROWS, NO_VALUE, side_of, write_number, write_percent, write_signed
from watchlist.formatting.numerals import ENGLISH, Numerals
from watchlist.prices.change import change, change_percent, reference_price
from watchlist.prices.day import NO_DAY, Day


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


REFERENCE_NAMES = ("base price", "previous close or base", "previous close")
"""Names of the reference price of several rows: if none, some, or all of them have a previous close."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table. `last`, `change`, `percent` and `as_of` are texts to show.

    `update` is the newest update and `moment` its time. Both are None for a row without a price. `side` is the
    direction of the change: up, down or flat. `stale` says that the price is old. `served` says that this site offers
    the ticker.
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

    @property
    def arrow(self) -> str:
        return ARROWS[self.side]

    @property
    def css_classes(self) -> str:
        """Returns the CSS classes that apply to this row.

        The possible ones are `stale`, `off` and `no-price`. `off` means that this site does not offer the ticker.
        """
        classes = {"stale": self.stale, "off": not self.served, "no-price": self.update is None}
        return " ".join(name for name, applies in classes.items() if applies)

    @property
    def iso(self) -> str:
        """Returns the time of the update as `2026-11-22T16:02:11.000Z`; empty without a price."""
        return "" if self.moment is None else self.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def reference(self) -> float:
        return reference_price(self.ticker.base_price, self.day.previous_close)

    def write_price(self, value: float | None) -> str:
        """Returns a price as text with the ticker's number of decimals.

        If `value` is None, returns NO_VALUE.
        """
        return NO_VALUE if value is None else write_number(value, self.ticker.decimals, self.numerals)


def name_reference(rows: Sequence[Row]) -> str:
    """Returns the name of the reference price of these rows, for a heading.

    If only some rows have a previous close, the name contains both kinds of reference price.
    `static/watchlist/quotes.js` repeats this rule; `tests/cases/reference_name.json` tests both.
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
) -> Row:
    """Returns the row of a ticker.

    `update` is the ticker's newest update; None if the ticker has no price. A price is stale if it is older than
    `stale_after`. `now` must have a time zone. Times are shown in `zone`.
    """
    if update is None:
        return Row(ticker, None, day, served=served, numerals=numerals)
    reference = reference_price(ticker.base_price, day.previous_close)
    change_text = write_signed(change(update.price, reference), ticker.decimals, numerals)
    moment = datetime.fromtimestamp(update.timestamp / 1_000_000, UTC)
    return Row(
        ticker,
        update,
        _include_price(day, update.price),
        write_number(update.price, ticker.decimals, numerals),
        change_text,
        write_percent(change_percent(update.price, reference), numerals),
        side_of(change_text),
        moment,
        write_moment(moment, now, zone),
        stale=now - moment > stale_after,
        served=served,
        numerals=numerals,
    )


def _include_price(day: Day, price: float) -> Day:
    """Returns a copy of the day whose high and low include the newest price.

    The recorder may not have stored this price yet. A day without high and low is returned unchanged.
    """
    if day.high is None or day.low is None:
        return day
    return replace(day, high=max(day.high, price), low=min(day.low, price))
