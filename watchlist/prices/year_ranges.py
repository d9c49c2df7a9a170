"""Reads the 52-week ranges of many symbols from their one-day bars in the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Max, Min

from feeds.models import DayBar, Tape
from watchlist.prices.day import PriceRange

WEEKS = timedelta(weeks=52)


def read_year_ranges(symbols: Sequence[str], now: datetime) -> Mapping[str, PriceRange]:
    """Returns a dict from symbol to 52-week range. Symbols without a bar in the last 52 weeks are missing."""
    if not symbols:
        return {}
    tapes = Tape.objects.of_current_sources().filter(symbol__in=symbols)
    bars = DayBar.objects.filter(tape__in=tapes, day__gte=(now - WEEKS).date())
    rows = bars.values_list("tape__symbol").annotate(Min("low"), Max("high"))
    return {symbol: PriceRange(low, high) for symbol, low, high in rows}
