"""A row of the table as text, from a ticker, its newest update and the time. Pure.

`static/watchlist/format.js` writes the same numbers by the same rules, so that the first live update changes nothing
but what moved; a test holds both against each other.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite

from feeds.models import Ticker
from feeds.wire import Update

NOTHING = "–"
MINUS = "\N{MINUS SIGN}"
DIGITS = Context(prec=400, rounding=ROUND_HALF_UP)
"""Enough for every float: a price that a foreign program wrote may be absurd, and the page stays up."""
ARROWS = {"up": "▲", "down": "▼", "flat": ""}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; texts are ready to print, `side` is up, down or flat."""

    ticker: Ticker
    update: Update | None
    last: str
    change: str
    percent: str
    side: str
    moment: datetime | None
    as_of: str
    stale: bool

    @property
    def arrow(self) -> str:
        return ARROWS[self.side]

    @property
    def classes(self) -> str:
        """What the row's look depends on: stale, off (the ticker is switched off), bare (there is no price)."""
        marks = {"stale": self.stale, "off": not self.ticker.active, "bare": self.update is None}
        return " ".join(mark for mark, holds in marks.items() if holds)

    @property
    def iso(self) -> str:
        return "" if self.moment is None else self.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def facts(self) -> dict[str, str]:
        """Numbers for programs, never in a locale's form, by the names of the row's data attributes."""
        facts = {"base": repr(self.ticker.base_price), "decimals": str(self.ticker.decimals)}
        if self.update:
            facts |= {"price": repr(self.update.price), "timestamp": str(self.update.timestamp)}
            facts["seq"] = str(self.update.seq_id)
        return facts


def make_row(ticker: Ticker, update: Update | None, now: datetime, stale_after: timedelta) -> Row:
    """`now` is aware; a row without a price is not stale but empty."""
    if update is None:
        return Row(ticker, None, NOTHING, NOTHING, NOTHING, "flat", None, NOTHING, stale=False)
    change = write_signed(update.price - ticker.base_price, ticker.decimals)
    moment = datetime.fromtimestamp(update.timestamp / 1_000_000, UTC)
    return Row(
        ticker,
        update,
        write_number(update.price, ticker.decimals),
        change,
        write_percent((update.price / ticker.base_price - 1) * 100),
        side_of(change),
        moment,
        write_moment(moment, now),
        stale=now - moment > stale_after,
    )


def write_number(value: float, decimals: int) -> str:
    """`98,234.50`: fixed decimals, a half away from zero (as JavaScript's toFixed has it), commas at thousands."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-decimals), context=DIGITS)
    return f"{rounded:,f}"


def write_signed(value: float, decimals: int) -> str:
    """With `+` or a minus sign, and with neither where it rounds to zero."""
    if not isfinite(value):
        return NOTHING
    digits = write_number(abs(value), decimals)
    if not any(digit in "123456789" for digit in digits):
        return digits
    return ("+" if value > 0 else MINUS) + digits


def write_percent(value: float) -> str:
    written = write_signed(value, 2)
    return written if written == NOTHING else written + "%"


def side_of(signed: str) -> str:
    return {"+": "up", MINUS: "down"}.get(signed[0], "flat")


def write_moment(moment: datetime, now: datetime) -> str:
    """The time with its zone; with the date where it is not today's."""
    form = "%H:%M:%S UTC" if moment.date() == now.date() else "%Y-%m-%d %H:%M UTC"
    return moment.strftime(form)
