"""Holds the open bars and decides which bars to fetch, write and save. Pure.

Open bars are the bars in memory. "Write" means: copy bars to Redis. "Save" means: copy bars to the database. "Fetch"
means: copy bars from Redis or the database into memory.

Offsets are committed only after all added updates are written and saved. Therefore all bars stay exact after a restart.
When a recorder meets a symbol for the first time, Redis and the database contain all bars of earlier recorders. A bar
up to `newest_stored` must be fetched before an update is added to this bar. Any later bar is new.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from feeds.history.market_days import MarketDays
from feeds.recorder.bars import Bar
from feeds.recorder.past import NO_PAST, Past, PreviousDay, find_previous_day
from feeds.wire import Update

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US

BarStarts = list[tuple["SymbolBars", list[int]]]
"""Pairs: the bars of a symbol, and the starts of some of these bars.

The starts (`Bar.start`) are in ascending order.
"""


class BarsToFetch(NamedTuple):
    """The stored bars that must be in memory before an update is added."""

    seconds: BarStarts
    minutes: BarStarts
    days: BarStarts


class BarSeries:
    """The open bars of one symbol and one length: seconds, minutes or days.

    `bars` is a dict from start (`Bar.start`) to bar. `newest` is the latest start. A bar that starts after
    `newest_stored` and is not in memory exists neither in Redis nor in the database. `unwritten` holds the starts of
    the bars that Redis does not have yet. `unsaved` holds the starts of the bars that the database does not have yet.
    """

    __slots__ = ("bars", "newest", "newest_stored", "unsaved", "unwritten")

    def __init__(self, newest_stored: int) -> None:
        self.newest_stored = self.newest = newest_stored
        self.bars: dict[int, Bar] = {}
        self.unwritten: set[int] = set()
        self.unsaved: set[int] = set()

    def put(self, bar: Bar) -> None:
        """Puts a fetched bar into memory. The bar is empty if no bar was stored."""
        self.bars[bar.start] = bar

    def add(self, start: int, update: Update) -> Bar | None:
        """Adds an update to the bar at `start`. Returns the bar.

        Returns None if the update is a repeat.
        """
        bar = self.bars.get(start)
        if bar is None:
            bar = self.bars[start] = Bar(start)
            self.newest = max(self.newest, start)
        return bar if bar.add(update) else None

    def unsaved_bars(self) -> list[Bar]:
        """Returns the bars that the database does not have yet, oldest first."""
        return [self.bars[start] for start in sorted(self.unsaved)]

    def trim(self) -> None:
        """Drops the bars that are both written and saved. Always keeps the newest bar."""
        if len(self.bars) < 2:
            return
        changed = self.unwritten | self.unsaved
        for start in [start for start in self.bars if start != self.newest and start not in changed]:
            del self.bars[start]
            self.newest_stored = max(self.newest_stored, start)


class SymbolBars:
    """The open bars of one symbol.

    `tape_id` is the id of the symbol in the database. `partition` is the Kafka partition of the last update, or -1
    before the first update. `saved_close` is the previous close that the database has.
    """

    __slots__ = ("days", "minutes", "partition", "past", "previous_day", "saved_close", "seconds", "symbol", "tape_id")

    def __init__(
        self,
        symbol: str,
        tape_id: int,
        newest_second: int = -1,
        newest_minute: int = -1,
        newest_days: Collection[Bar] = (),
        saved_close: float | None = None,
        past: Past = NO_PAST,
    ) -> None:
        """Initializes the bars from what Redis and the database contain.

        `newest_second` and `newest_minute` are the starts of the newest stored bars; -1 stands for none. `newest_days`
        holds at most two bars.
        """
        self.symbol = symbol
        self.tape_id = tape_id
        self.partition = -1
        self.seconds = BarSeries(newest_second)
        self.minutes = BarSeries(newest_minute)
        days = sorted(newest_days, key=lambda bar: bar.start)
        self.days = BarSeries(days[-1].start if days else -1)
        for bar in days:
            self.days.put(bar)
        self.previous_day = PreviousDay(days[0].start, days[0].close) if len(days) > 1 else None
        self.saved_close = saved_close
        self.past = past

    @property
    def previous_close(self) -> float | None:
        day = find_previous_day(self.previous_day, self.past, self.days.newest)
        return day.close if day else None

    def change_past(self, past: Past) -> None:
        """Replaces the past. The next write gives Redis the newest day with its previous close again."""
        self.past = past
        if self.newest_day is not None:
            self.days.unwritten.add(self.days.newest)

    @property
    def newest_day(self) -> Bar | None:
        return self.days.bars.get(self.days.newest)

    @property
    def has_unwritten(self) -> bool:
        return bool(self.seconds.unwritten or self.minutes.unwritten or self.days.unwritten)

    @property
    def has_unsaved_close(self) -> bool:
        return self.previous_close != self.saved_close

    def add_to_day(self, start: int, update: Update) -> bool:
        """Adds an update to the day bar at `start`, and changes `previous_day` if necessary.

        Returns False if the update is a repeat.
        """
        before = self.newest_day
        if (bar := self.days.add(start, update)) is None:
            return False
        if before is not None and start > before.start:
            self.previous_day = PreviousDay(before.start, before.close)
        elif start < self.days.newest and (self.previous_day is None or start >= self.previous_day.day):
            self.previous_day = PreviousDay(start, bar.close)
        return True


class OpenBars:
    """The open bars of all symbols of this process."""

    def __init__(self, market_days: MarketDays) -> None:
        self._market_days = market_days
        self.by_symbol: dict[str, SymbolBars] = {}
        self._new_seconds = 0
        self._new_minutes = 0

    @property
    def new_bars(self) -> int:
        """The number of new one-second bars plus the number of new one-minute bars.

        One-second bars are new until the next write. One-minute bars are new until the next save.
        """
        return self._new_seconds + self._new_minutes

    def find_unknown(self, updates: Iterable[Update]) -> list[str]:
        """Returns each symbol that occurs in `updates` and has no bars in memory.

        Each symbol appears once.
        """
        return list(dict.fromkeys(update.symbol for update in updates if update.symbol not in self.by_symbol))

    def add_symbol(self, symbol_bars: SymbolBars) -> None:
        self.by_symbol[symbol_bars.symbol] = symbol_bars

    def find_bars_to_fetch(self, updates: Iterable[Update], oldest_second: int, oldest_minute: int) -> BarsToFetch:
        """Returns the stored bars that must be fetched before these updates are added.

        Skips bars of seconds below `oldest_second` and bars of minutes below `oldest_minute`. `by_symbol` must contain
        the symbol of each update.
        """
        seconds: dict[SymbolBars, set[int]] = {}
        minutes: dict[SymbolBars, set[int]] = {}
        days: dict[SymbolBars, set[int]] = {}
        for update in updates:
            symbol_bars, at = self.by_symbol[update.symbol], update.timestamp
            second, minute, day = at // SECOND_US, at // MINUTE_US, self._market_days.day_at(at)
            if oldest_second <= second <= symbol_bars.seconds.newest_stored and second not in symbol_bars.seconds.bars:
                seconds.setdefault(symbol_bars, set()).add(second)
            if oldest_minute <= minute <= symbol_bars.minutes.newest_stored and minute not in symbol_bars.minutes.bars:
                minutes.setdefault(symbol_bars, set()).add(minute)
            if day <= symbol_bars.days.newest_stored and day not in symbol_bars.days.bars:
                days.setdefault(symbol_bars, set()).add(day)
        return BarsToFetch(_sort_starts(seconds), _sort_starts(minutes), _sort_starts(days))

    def add(self, update: Update, partition: int, oldest_second: int, oldest_minute: int) -> bool:
        """Adds an update to the bars of its second, its minute and its day.

        Skips the bar of a second below `oldest_second` and the bar of a minute below `oldest_minute`. A repeat changes
        no bar; in this case, returns False.
        """
        symbol_bars, at = self.by_symbol[update.symbol], update.timestamp
        symbol_bars.partition = partition
        changed = False
        if (start := at // SECOND_US) >= oldest_second and (bar := symbol_bars.seconds.add(start, update)):
            symbol_bars.seconds.unwritten.add(start)
            self._new_seconds += bar.count == 1
            changed = True
        if (start := at // MINUTE_US) >= oldest_minute and (bar := symbol_bars.minutes.add(start, update)):
            symbol_bars.minutes.unwritten.add(start)
            symbol_bars.minutes.unsaved.add(start)
            self._new_minutes += bar.count == 1
            changed = True
        start = self._market_days.day_at(at)
        if symbol_bars.add_to_day(start, update):
            symbol_bars.days.unwritten.add(start)
            symbol_bars.days.unsaved.add(start)
            changed = True
        return changed

    def unwritten_symbols(self) -> list[SymbolBars]:
        """Returns the symbols with bars that Redis does not have yet."""
        return [symbol_bars for symbol_bars in self.by_symbol.values() if symbol_bars.has_unwritten]

    def unsaved_minutes(self) -> Iterator[tuple[SymbolBars, list[Bar]]]:
        """Yields pairs: a symbol that has unsaved minutes, and these minutes, oldest first."""
        for symbol_bars in self.by_symbol.values():
            if symbol_bars.minutes.unsaved:
                yield symbol_bars, symbol_bars.minutes.unsaved_bars()

    def unsaved_days(self) -> Iterator[tuple[SymbolBars, list[Bar]]]:
        """Yields pairs: a symbol that has unsaved days, and these days, oldest first."""
        for symbol_bars in self.by_symbol.values():
            if symbol_bars.days.unsaved:
                yield symbol_bars, symbol_bars.days.unsaved_bars()

    def symbols_with_unsaved_close(self) -> list[SymbolBars]:
        """Returns the symbols whose previous close is not in the database yet."""
        return [symbol_bars for symbol_bars in self.by_symbol.values() if symbol_bars.has_unsaved_close]

    def mark_written(self, symbols: Iterable[SymbolBars]) -> None:
        """Treats the bars of these symbols as written to Redis from now on.

        `symbols` must contain all symbols with unwritten bars.
        """
        for symbol_bars in symbols:
            symbol_bars.seconds.unwritten.clear()
            symbol_bars.minutes.unwritten.clear()
            symbol_bars.days.unwritten.clear()
            symbol_bars.seconds.trim()
        self._new_seconds = 0

    def mark_saved(self) -> None:
        """Treats all minutes and days as saved in the database from now on."""
        for symbol_bars in self.by_symbol.values():
            for series in (symbol_bars.minutes, symbol_bars.days):
                series.unsaved.clear()
                series.trim()
        self._new_minutes = 0

    def drop_partitions(self, partitions: Collection[int]) -> None:
        """Drops the bars of the symbols in these partitions.

        Another member of the group owns these partitions now.
        """
        for symbol in [symbol for symbol, symbol_bars in self.by_symbol.items() if symbol_bars.partition in partitions]:
            del self.by_symbol[symbol]


def _sort_starts(starts: dict[SymbolBars, set[int]]) -> BarStarts:
    return [(symbol_bars, sorted(found)) for symbol_bars, found in starts.items()]
