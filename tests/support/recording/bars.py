"""Market days and open bars for tests of bars."""

from datetime import UTC, time

from feeds.history.market_days import MarketDays, SourceDays
from feeds.recorder.open_bars import OpenBars
from feeds.recorder.symbol_bars import MINUTE_US, SymbolBars
from feeds.wire import Update

DAY_US = 24 * 60 * MINUTE_US

UTC_DAYS = MarketDays(UTC, time(0))

UTC_EVERYWHERE = SourceDays(UTC_DAYS)
"""Market days that begin at midnight UTC, for every source."""

FIRST_DAY = UTC_DAYS.day_at(0)

NO_OLDEST = (-1, -1)
"""The oldest second and the oldest minute that a recorder keeps, for a recorder that keeps all bars."""


def open_bars_of(*updates: Update) -> OpenBars:
    """Returns the open bars of a recorder that had no stored bars and has received these updates."""
    open_bars = OpenBars(UTC_EVERYWHERE)
    for update in updates:
        if update.symbol not in open_bars.by_symbol:
            open_bars.add_symbol(SymbolBars(update.symbol, 1))
        open_bars.add(update, 0, *NO_OLDEST)
    return open_bars
