"""The stretches of time that a chart shows, and their candles as scripts and the table without one take them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from feeds.models import Ticker
from watchlist.formatting.numbers import write_number
from watchlist.formatting.numerals import ENGLISH, Numerals
from watchlist.prices.history import Chart, read_chart

RANGES: dict[str, tuple[str, timedelta | None]] = {
    "5m": ("5 min", timedelta(minutes=5)),
    "1h": ("1 h", timedelta(hours=1)),
    "1d": ("1 d", timedelta(days=1)),
    "1w": ("1 w", timedelta(days=7)),
    "all": ("All", None),
}
DEFAULT = "1h"
MOST_LINES = 120
"""Lines of the table of bars; the newest."""


def read_range(name: str) -> str:
    """The name of a range; what is none is the default."""
    return name if name in RANGES else DEFAULT


def read_bars(ticker: Ticker, name: str) -> Chart:
    return read_chart(ticker.symbol, RANGES[name][1], timezone.now(), settings.RECORDER_RETENTION)


def encode_bars(chart: Chart) -> dict[str, Any]:
    """`{"step":60,"bars":[[start, open, high, low, close], …]}`, `start` in unix seconds, oldest first."""
    bars = [[one.start, one.open, one.high, one.low, one.close] for one in chart.candles]
    return {"step": chart.step, "bars": bars}


def write_bars(chart: Chart, decimals: int, zone: Any, numerals: Numerals = ENGLISH) -> Sequence[dict[str, Any]]:
    """The newest bars as text, newest first; the day is left out where it says nothing."""
    shown = chart.candles[-MOST_LINES:]
    brief = not shown or shown[-1].start - shown[0].start < 12 * 3600
    form = (
        "%Y-%m-%d"
        if chart.step >= 86_400
        else ("%H:%M" if brief else "%d %b %H:%M")
        if chart.step >= 60
        else "%H:%M:%S"
    )
    return [
        {
            "moment": datetime.fromtimestamp(one.start, UTC),
            "time": datetime.fromtimestamp(one.start, UTC if chart.step >= 86_400 else zone).strftime(form),
            "figures": [write_number(value, decimals, numerals) for value in (one.open, one.high, one.low, one.close)],
        }
        for one in reversed(shown)
    ]
