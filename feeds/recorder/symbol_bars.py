"""Holds the open bars of one symbol. Pure.

`feeds.recorder.open_bars` says what open bars are, and when they are fetched, written and saved.
"""

from collections.abc import Collection

from feeds.history.market_days import MarketDays
from feeds.recorder.bars import Bar
from feeds.recorder.past import NO_PAST, Past, PreviousDay, find_previous_day
from feeds.records import Span
from feeds.source_names import SIMULATED
from feeds.wire import Update

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US


class BarSeries:
    """The open bars of one symbol that have the same length: seconds, minutes or days.

    `bars` is a dict from start (`Bar.start`) to bar. `newest` is the start of the newest bar, in memory or stored.
    A stored bar that is not in memory starts at `newest_stored` or earlier. `unwritten` holds the starts of the bars
    that Redis does not have yet. `unsaved` holds the starts of the bars that the database does not have yet.
    """

    __slots__ = ("bars", "newest", "newest_stored", "unsaved", "unwritten")

    def __init__(self, newest_stored: int) -> None:
        self.newest_stored = self.newest = newest_stored
        self.bars: dict[int, Bar] = {}
        self.unwritten: set[int] = set()
        self.unsaved: set[int] = set()

    def put(self, bar: Bar) -> None:
        """Puts a bar into memory: the stored bar of Redis or the database, or an empty bar if none is stored."""
        self.bars[bar.start] = bar

    def begin(self, start: int) -> Bar:
        """Adds an empty bar at `start`, and returns it."""
        bar = self.bars[start] = Bar(start)
        self.newest = max(self.newest, start)
        return bar

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
    """The open bars of one symbol from one source.

    `is_outdated` says whether the ticker has another source now. `tape_id` is the id of the symbol's row in the
    database. `partition` is the Kafka partition of the last update, or -1 before the first update. `saved_close` is
    the previous close that the database has. `missed` holds unsaved spans of time with lost trades.
    """

    __slots__ = (
        "days",
        "is_outdated",
        "market_days",
        "minutes",
        "missed",
        "partition",
        "past",
        "previous_day",
        "saved_close",
        "seconds",
        "source",
        "symbol",
        "tape_id",
    )

    market_days: MarketDays

    def __init__(
        self,
        symbol: str,
        tape_id: int,
        newest_second: int = -1,
        newest_minute: int = -1,
        newest_days: Collection[Bar] = (),
        saved_close: float | None = None,
        past: Past = NO_PAST,
        source: str = SIMULATED,
    ) -> None:
        """Initializes the bars from what Redis and the database contain.

        `newest_second` and `newest_minute` are the starts of the newest stored bars, or -1 if none is stored.
        `newest_days` holds the newest day bars, at most two.
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
        self.source = source
        self.is_outdated = False
        self.missed: tuple[Span, ...] = ()

    @property
    def previous_close(self) -> float | None:
        day = find_previous_day(self.previous_day, self.past, self.days.newest)
        return day.close if day else None

    def change_past(self, past: Past) -> None:
        """Replaces the summary of the symbol's fetched and simulated bars."""
        self.past = past
        if self.newest_day is not None:
            # Redis keeps the previous close with the newest day. The previous close may have changed.
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

    def add_to_day(self, start: int, update: Update, units: int | None = None) -> bool:
        """Adds an update to the day bar at `start`, and updates `previous_day`. Returns whether the bar changed."""
        days = self.days
        bar = days.bars.get(start)
        if bar is not None and start == days.newest:
            return bar.add(update, units)  # the usual case: `previous_day` stays
        before = self.newest_day
        bar = bar or days.begin(start)
        if not bar.add(update, units):
            return False
        if before is not None and start > before.start:
            self.previous_day = PreviousDay(before.start, before.close)
        elif start < days.newest and (self.previous_day is None or start >= self.previous_day.day):
            self.previous_day = PreviousDay(start, bar.close)
        return True
