"""Reads the stored bars of the last week, and says when a new alert would have fired."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

from feeds.models import DayBar, Tape, Ticker
from watchlist.alert_kinds import Repeat
from watchlist.alerts.conditions import AlertOptions
from watchlist.alerts.kinds.extremes import PAST_DAYS
from watchlist.formatting.numbers import write_number
from watchlist.page.alerts.past_firings import (
    SUPPORTED,
    PastClose,
    PastDay,
    PastFiring,
    Rule,
    find_past_firings,
    levels_at,
)
from watchlist.page.alerts.rows import Style
from watchlist.page.svg.past_chart import draw_past
from watchlist.prices.change import reference_price
from watchlist.prices.history import read_minutes_of_step

WEEK = timedelta(days=7)
YEAR = timedelta(days=PAST_DAYS)
"""How long before a market day prices count for a 52-week high or low."""

SHOWN_TIMES = 20
"""The maximum number of firings that the page lists: the newest ones."""


def read_past(ticker: Ticker, options: AlertOptions, style: Style) -> Mapping[str, Any]:
    """Returns the values of the preview for the template, by name."""
    if options.kind not in SUPPORTED:
        return {"is_supported": False}
    closes = _read_closes(ticker.symbol, style.now)
    if not closes:
        return {"is_supported": True, "minutes": 0}
    days = _read_days(ticker, style.now)
    window = options.window_seconds or 0
    rule = Rule(options.kind, options.value or 0.0, window, options.repeat, options.cooldown_seconds)
    firings = find_past_firings(closes, days, rule)
    return {
        "is_supported": True,
        "minutes": len(closes),
        "since": style.write_time(datetime.fromtimestamp(closes[0].start, UTC)),
        "count": len(firings),
        "is_once": options.repeat is Repeat.ONCE,
        "times": [_describe(firing, ticker, style) for firing in reversed(firings[-SHOWN_TIMES:])],
        "picture": _draw(ticker, closes, days, rule, firings),
    }


def _read_closes(symbol: str, now: datetime) -> list[PastClose]:
    return [PastClose(candle.start, candle.close) for candle in read_minutes_of_step(symbol, now - WEEK, 1, now)]


def _read_days(ticker: Ticker, now: datetime) -> list[PastDay]:
    """Returns the market days with stored bars that the preview needs, oldest first."""
    bars = DayBar.objects.filter(
        tape__in=Tape.objects.of_current_sources().filter(symbol=ticker.symbol), day__gte=(now - WEEK - YEAR).date()
    )
    rows = list(bars.order_by("day").values_list("day", "first_at", "low", "high", "close"))
    first = (now - WEEK).date() - timedelta(days=1)
    days = [_make_day(ticker, rows, place) for place, row in enumerate(rows) if row[0] >= first]
    return days or [PastDay(0, ticker.base_price)]


def _make_day(ticker: Ticker, rows: Sequence[tuple[Any, ...]], place: int) -> PastDay:
    """Returns a market day from its row. A row has the day, the time of the first update, low, high and close."""
    day, first_at, *_ = rows[place]
    before = rows[:place]
    year = [row for row in before if row[0] >= day - YEAR]
    return PastDay(
        first_at // 60_000_000 * 60,
        reference_price(ticker.base_price, before[-1][4] if before else None),
        min((row[2] for row in year), default=inf),
        max((row[3] for row in year), default=-inf),
    )


def _describe(firing: PastFiring, ticker: Ticker, style: Style) -> Mapping[str, Any]:
    moment = datetime.fromtimestamp(firing.start, UTC)
    price = write_number(firing.price, ticker.decimals, style.numerals)
    return {"moment": moment, "time": style.write_time(moment), "price": price}


def _draw(
    ticker: Ticker, closes: Sequence[PastClose], days: Sequence[PastDay], rule: Rule, firings: Sequence[PastFiring]
) -> str:
    levels = [(close.start, level) for close, level in zip(closes, levels_at(closes, days, rule), strict=False)]
    marks = [(firing.start, firing.price) for firing in firings]
    label = f"{ticker.symbol} in the last 7 days with {len(firings)} firings; the times are listed as text"
    return draw_past(closes, levels, marks, label)
