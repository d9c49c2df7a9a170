"""A row of the table as text, from a ticker, its newest update, its day and the time. Pure.

`static/watchlist/format.js` writes the same numbers by the same rules, so that the first live update changes nothing
but what moved; a test holds both against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from django.utils.safestring import SafeString, mark_safe

from feeds.models import Ticker
from feeds.wire import Update
from watchlist.formatting.moments import write_moment
from watchlist.formatting.numbers import ARROWS, NOTHING, side_of, write_number, write_percent, write_signed
from watchlist.formatting.numerals import ENGLISH, Numerals
from watchlist.page.sparkline import draw_line
from watchlist.prices.change import change as change_of
from watchlist.prices.change import change_percent, reference_price
from watchlist.prices.day import NO_DAY, Day


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; texts are ready to print, `side` is up, down or flat."""

    ticker: Ticker
    update: Update | None
    day: Day
    last: str
    change: str
    percent: str
    side: str
    moment: datetime | None
    as_of: str
    stale: bool
    fed: bool = True
    numerals: Numerals = ENGLISH

    @property
    def arrow(self) -> str:
        return ARROWS[self.side]

    @property
    def classes(self) -> str:
        """What the row's look depends on: stale, off (the ticker is switched off), no-price."""
        marks = {"stale": self.stale, "off": not self.fed, "no-price": self.update is None}
        return " ".join(mark for mark, holds in marks.items() if holds)

    @property
    def iso(self) -> str:
        return "" if self.moment is None else self.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def facts(self) -> dict[str, str]:
        """Numbers for programs, never in a locale's form, by the names of the row's data attributes."""
        facts = {"base": repr(self.ticker.base_price), "decimals": str(self.ticker.decimals)}
        day = {"close": self.day.close, "open": self.day.open, "high": self.day.high, "low": self.day.low}
        facts |= {name: repr(value) for name, value in day.items() if value is not None}
        if self.update:
            facts |= {"price": repr(self.update.price), "timestamp": str(self.update.timestamp)}
            facts["seq"] = str(self.update.seq_id)
        return facts

    @property
    def attributes(self) -> SafeString:
        """The facts as data attributes: numbers only, so nothing of them needs escaping."""
        return mark_safe("".join(f' data-{name}="{value}"' for name, value in self.facts.items()))  # noqa: S308

    @property
    def spark(self) -> str:
        """An inline SVG of the last hour; nothing where too little is recorded."""
        return draw_line(self.day.line, self.reference, self.side)

    @property
    def reference(self) -> float:
        """What the change is against."""
        return reference_price(self.ticker.base_price, self.day.close)

    @property
    def open(self) -> str:
        return self._write(self.day.open)

    @property
    def high(self) -> str:
        return self._write(self.day.high)

    @property
    def low(self) -> str:
        return self._write(self.day.low)

    @property
    def close(self) -> str:
        return self._write(self.day.close)

    def _write(self, value: float | None) -> str:
        return NOTHING if value is None else write_number(value, self.ticker.decimals, self.numerals)


def name_reference(rows: Sequence[Row]) -> str:
    """What the changes of these rows are against, for the header."""
    closed = {row.day.close is not None for row in rows}
    if closed == {True}:
        return "previous close"
    return "base price" if closed <= {False} else "previous close or base"


def make_row(
    ticker: Ticker,
    update: Update | None,
    now: datetime,
    stale_after: timedelta,
    day: Day = NO_DAY,
    zone: tzinfo = UTC,
    fed: bool = True,
    numerals: Numerals = ENGLISH,
) -> Row:
    """`now` is aware; a row without a price is not stale but empty. `fed`: the ticker gets prices now."""
    if update is None:
        texts = (NOTHING, NOTHING, NOTHING, "flat", None, NOTHING)
        return Row(ticker, None, day, *texts, stale=False, fed=fed, numerals=numerals)
    reference = reference_price(ticker.base_price, day.close)
    change = write_signed(change_of(update.price, reference), ticker.decimals, numerals)
    moment = datetime.fromtimestamp(update.timestamp / 1_000_000, UTC)
    return Row(
        ticker,
        update,
        _stretch(day, update.price),
        write_number(update.price, ticker.decimals, numerals),
        change,
        write_percent(change_percent(update.price, reference), numerals),
        side_of(change),
        moment,
        write_moment(moment, now, zone),
        stale=now - moment > stale_after,
        fed=fed,
        numerals=numerals,
    )


def _stretch(day: Day, price: float) -> Day:
    """The newest price may be above the high that was recorded last."""
    if day.high is None or day.low is None:
        return day
    return Day(day.open, max(day.high, price), min(day.low, price), day.close, day.line)
