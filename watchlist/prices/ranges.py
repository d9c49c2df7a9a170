"""Defines the time ranges of a chart, and writes candles as JSON and as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django.conf import settings
from django.utils import timezone

from feeds.bar_layout import VOLUME_UNIT
from feeds.models import Ticker
from watchlist.formatting.numbers import write_number, write_volume
from watchlist.formatting.numerals import ENGLISH, Numerals
from watchlist.prices.candles import Candle, CandleSeries
from watchlist.prices.history import read_candles


@dataclass(frozen=True, slots=True)
class ChartRange:
    """A time range that a chart offers. `span` is the length of the range, or None for all recorded time."""

    label: str
    span: timedelta | None


RANGES = {
    "5m": ChartRange("5 min", timedelta(minutes=5)),
    "1h": ChartRange("1 h", timedelta(hours=1)),
    "1d": ChartRange("1 d", timedelta(days=1)),
    "1w": ChartRange("1 w", timedelta(days=7)),
    "1mo": ChartRange("1 m", timedelta(days=30)),
    "6mo": ChartRange("6 m", timedelta(days=182)),
    "1y": ChartRange("1 y", timedelta(days=365)),
    "all": ChartRange("All", None),
}
DEFAULT_RANGE = "1h"
MAX_TABLE_ROWS = 120

MINUTE_SECONDS, DAY_SECONDS = 60, 86_400


def parse_range(name: str) -> str:
    """Returns `name` if a range has this name. Returns DEFAULT_RANGE if no range has this name."""
    return name if name in RANGES else DEFAULT_RANGE


def read_range_candles(ticker: Ticker, name: str) -> CandleSeries:
    """Reads the candles of a ticker in the range with this name. The range ends now."""
    return read_candles(ticker.symbol, RANGES[name].span, timezone.now(), settings.RECORDER_RETENTION)


def encode_candles(series: CandleSeries) -> dict[str, Any]:
    """Returns `{"step":60,"bars":[[start, open, high, low, close, volume], …]}`, oldest bar first.

    `start` is in unix seconds. `step` is the length of each bar in seconds. `volume` is in shares or coins.
    """
    bars = [
        [candle.start, candle.open, candle.high, candle.low, candle.close, candle.volume * VOLUME_UNIT]
        for candle in series.candles
    ]
    return {"step": series.step, "bars": bars}


def write_table(
    series: CandleSeries, decimals: int, zone: tzinfo, numerals: Numerals = ENGLISH
) -> Sequence[dict[str, Any]]:
    """Returns a table row for each of the newest MAX_TABLE_ROWS candles, newest first.

    A row is a dict. `moment` is the start of the candle as a datetime. `time` is the start as text in `zone`, or the
    UTC date if a candle lasts a day or longer. `figures` are the texts of open, high, low, close and volume.
    """
    candles = series.candles[-MAX_TABLE_ROWS:]
    time_format = _choose_time_format(candles, series.step)
    shown_zone = UTC if series.step >= DAY_SECONDS else zone
    if len({datetime.fromtimestamp(candle.start, shown_zone).utcoffset() for candle in candles}) > 1:
        time_format += " %Z"  # tells the two equal hours apart when clocks are set back
    return [
        {
            "moment": datetime.fromtimestamp(candle.start, UTC),
            "time": datetime.fromtimestamp(candle.start, shown_zone).strftime(time_format),
            "figures": [
                *(
                    write_number(price, decimals, numerals)
                    for price in (candle.open, candle.high, candle.low, candle.close)
                ),
                write_volume(candle.volume, numerals),
            ],
        }
        for candle in reversed(candles)
    ]


def _choose_time_format(candles: Sequence[Candle], step: int) -> str:
    """Returns the shortest time format that gives each row of a table a different text."""
    if step >= DAY_SECONDS:
        return "%Y-%m-%d"
    if step < MINUTE_SECONDS:
        return "%H:%M:%S"
    is_short = not candles or candles[-1].start - candles[0].start < DAY_SECONDS // 2
    return "%H:%M" if is_short else "%d %b %H:%M"
