"""Holds the open bars and decides which bars to fetch, write and save. Pure.

Open bars are the bars in memory. "Write" means: copy bars to Redis. "Save" means: copy bars to the database. "Fetch"
means: copy stored bars into memory, before updates are added to these bars.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from feeds.history.market_days import SourceDays
from feeds.recorder.bars import Bar, size_in_units
from feeds.recorder.symbol_bars import MINUTE_US, SECOND_US, SymbolBars
from feeds.records import Span, unite
from feeds.wire import Update

BarStarts = list[tuple[SymbolBars, list[int]]]
"""A list of pairs: a SymbolBars, and the starts (`Bar.start`) of some of its bars in ascending order."""


class BarsToFetch(NamedTuple):
    """The stored bars that must be fetched before updates are added to them."""

    seconds: BarStarts
    minutes: BarStarts
    days: BarStarts


MAX_UNSAVED_SPANS = 1000
"""The greatest number of unsaved spans of one symbol. A span is a time in which trades were lost.

If there are more spans, the oldest spans become one span.
"""


class OpenBars:
    """The open bars of all symbols of this process.

    `by_symbol` is a dict from symbol to the bars from the symbol's current source. `_earlier` holds the unsaved bars
    from sources that symbols had before.
    """

    def __init__(self, market_days: SourceDays) -> None:
        self._market_days = market_days
        self.by_symbol: dict[str, SymbolBars] = {}
        self._earlier: list[SymbolBars] = []
        self._new_seconds = 0
        self._new_minutes = 0

    @property
    def new_bars(self) -> int:
        """The number of new one-second bars plus the number of new one-minute bars.

        One-second bars are new until the next write, one-minute bars until the next save.
        """
        return self._new_seconds + self._new_minutes

    def find_unknown(self, sources: Mapping[str, str]) -> dict[str, str]:
        """Returns the part of `sources` whose bars are not in memory. `sources` is a dict from symbol to source.

        If the bars in memory come from another source than `sources` says, the symbol is returned too.
        """
        unknown = {}
        for symbol, source in sources.items():
            known = self.by_symbol.get(symbol)
            if known is None or known.source != source:
                unknown[symbol] = source
        return unknown

    def add_symbol(self, symbol_bars: SymbolBars) -> None:
        """Adds the bars of a symbol. Keeps the symbol's bars from an earlier source until the next save."""
        if (earlier := self.by_symbol.get(symbol_bars.symbol)) is not None:
            self._earlier.append(earlier)
        symbol_bars.market_days = self._market_days.of(symbol_bars.source)
        self.by_symbol[symbol_bars.symbol] = symbol_bars

    def take_earlier(self, symbol: str, source: str) -> SymbolBars | None:
        """Returns a symbol's unsaved bars that came from `source`, its earlier source. Returns None if there are none.

        Also removes the bars from this object.
        """
        for symbol_bars in self._earlier:
            if (symbol_bars.symbol, symbol_bars.source) == (symbol, source):
                self._earlier.remove(symbol_bars)
                return symbol_bars
        return None

    @property
    def _all(self) -> Iterator[SymbolBars]:
        yield from self._earlier
        yield from self.by_symbol.values()

    def find_bars_to_fetch(self, updates: Iterable[Update], oldest_second: int, oldest_minute: int) -> BarsToFetch:
        """Returns the stored bars that must be fetched before these updates are added.

        Leaves out one-second bars before `oldest_second` and minute bars before `oldest_minute`. `by_symbol` must
        contain the symbol of each update.
        """
        seconds: dict[SymbolBars, set[int]] = {}
        minutes: dict[SymbolBars, set[int]] = {}
        days: dict[SymbolBars, set[int]] = {}
        for update in updates:
            symbol_bars, at = self.by_symbol[update.symbol], update.timestamp
            second, minute, day = at // SECOND_US, at // MINUTE_US, symbol_bars.market_days.day_at(at)
            if oldest_second <= second <= symbol_bars.seconds.newest_stored and second not in symbol_bars.seconds.bars:
                seconds.setdefault(symbol_bars, set()).add(second)
            if oldest_minute <= minute <= symbol_bars.minutes.newest_stored and minute not in symbol_bars.minutes.bars:
                minutes.setdefault(symbol_bars, set()).add(minute)
            if day <= symbol_bars.days.newest_stored and day not in symbol_bars.days.bars:
                days.setdefault(symbol_bars, set()).add(day)
        return BarsToFetch(_sort_starts(seconds), _sort_starts(minutes), _sort_starts(days))

    def add(self, update: Update, partition: int, oldest_second: int, oldest_minute: int) -> bool:
        """Adds an update to the bars of its second, its minute and its day. Returns whether a bar changed.

        Leaves out one-second bars before `oldest_second` and minute bars before `oldest_minute`.
        """
        # Most of the CPU time of the recorder is spent here, so this method calls few others.
        symbol_bars, at = self.by_symbol[update.symbol], update.timestamp
        symbol_bars.partition = partition
        units = size_in_units(update) if update.size else 0
        changed = False
        if (start := at // SECOND_US) >= oldest_second:
            seconds = symbol_bars.seconds
            bar = seconds.bars.get(start) or seconds.begin(start)
            if bar.add(update, units):
                seconds.unwritten.add(start)
                self._new_seconds += bar.count == 1
                changed = True
        if (start := at // MINUTE_US) >= oldest_minute:
            minutes = symbol_bars.minutes
            bar = minutes.bars.get(start) or minutes.begin(start)
            if bar.add(update, units):
                minutes.unwritten.add(start)
                minutes.unsaved.add(start)
                self._new_minutes += bar.count == 1
                changed = True
        start = symbol_bars.market_days.day_at(at)
        if symbol_bars.add_to_day(start, update, units):
            symbol_bars.days.unwritten.add(start)
            symbol_bars.days.unsaved.add(start)
            changed = True
        return changed

    def unwritten_symbols(self) -> list[SymbolBars]:
        """Returns the symbols with bars that Redis does not have yet."""
        return [symbol_bars for symbol_bars in self.by_symbol.values() if symbol_bars.has_unwritten]

    def unsaved_minutes(self) -> Iterator[tuple[SymbolBars, list[Bar]]]:
        """Yields pairs: a symbol, and its minute bars that are not in the database yet, oldest first."""
        for symbol_bars in self._all:
            if symbol_bars.minutes.unsaved:
                yield symbol_bars, symbol_bars.minutes.unsaved_bars()

    def unsaved_days(self) -> Iterator[tuple[SymbolBars, list[Bar]]]:
        """Yields pairs: a symbol, and its day bars that are not in the database yet, oldest first."""
        for symbol_bars in self._all:
            if symbol_bars.days.unsaved:
                yield symbol_bars, symbol_bars.days.unsaved_bars()

    def note_missed(self, symbol: str, spans: Collection[Span]) -> None:
        """Remembers spans of time in which trades of a symbol were lost, until the next save."""
        symbol_bars = self.by_symbol[symbol]
        symbol_bars.missed = unite([*symbol_bars.missed, *spans], MAX_UNSAVED_SPANS)

    def unsaved_spans(self) -> Iterator[tuple[int, tuple[Span, ...]]]:
        """Yields pairs: a symbol's `tape_id`, and the symbol's unsaved spans of time with lost trades."""
        for symbol_bars in self._all:
            if symbol_bars.missed:
                yield symbol_bars.tape_id, symbol_bars.missed

    def symbols_with_unsaved_close(self) -> list[SymbolBars]:
        """Returns the symbols whose previous close is not in the database yet."""
        return [symbol_bars for symbol_bars in self._all if symbol_bars.has_unsaved_close]

    def mark_written(self, symbols: Iterable[SymbolBars]) -> None:
        """Notes that all bars of these symbols are written to Redis.

        Call this method after a write, with the symbols that `unwritten_symbols` returned before the write.
        """
        for symbol_bars in symbols:
            symbol_bars.seconds.unwritten.clear()
            symbol_bars.minutes.unwritten.clear()
            symbol_bars.days.unwritten.clear()
            symbol_bars.seconds.trim()
        self._new_seconds = 0

    def mark_saved(self) -> None:
        """Notes that everything in memory is saved to the database.

        Drops the bars from earlier sources, and the bars that Redis has too. Keeps the newest minute bar and the newest
        day bar of each symbol.
        """
        self._earlier.clear()
        for symbol_bars in self.by_symbol.values():
            symbol_bars.missed = ()
            for series in (symbol_bars.minutes, symbol_bars.days):
                series.unsaved.clear()
                series.trim()
        self._new_minutes = 0

    def drop_partitions(self, partitions: Collection[int]) -> None:
        """Drops the bars of the symbols in these Kafka partitions."""
        for symbol in [symbol for symbol, symbol_bars in self.by_symbol.items() if symbol_bars.partition in partitions]:
            del self.by_symbol[symbol]
        self._earlier = [symbol_bars for symbol_bars in self._earlier if symbol_bars.partition not in partitions]


def _sort_starts(starts: dict[SymbolBars, set[int]]) -> BarStarts:
    return [(symbol_bars, sorted(found)) for symbol_bars, found in starts.items()]
