"""What the recorder holds in memory: the bars under way, which of them must be fetched first, which must be written.

Pure. The rule that makes a restart exact: offsets are committed only after all that was entered has been written. So
when a symbol is met for the first time, every bar that an earlier reading has touched stands in the stores. `known` is
the newest of them: up to it a bar is fetched before it is added to, beyond it a bar is new.
"""

from collections.abc import Collection, Iterable, Iterator

from feeds.recorder.bars import Bar
from feeds.recorder.market_days import Days
from feeds.wire import Update

SECOND = 1_000_000
MINUTE = 60 * SECOND

Wanted = list[tuple["SymbolBars", list[int]]]
"""Bars to fetch, by symbol."""


class BarSeries:
    """The bars of one symbol and one length. `bare` and `unsaved` wait for Redis and for the database."""

    __slots__ = ("bare", "bars", "known", "newest", "unsaved")

    def __init__(self, known: int) -> None:
        self.known = self.newest = known
        self.bars: dict[int, Bar] = {}
        self.bare: set[int] = set()
        self.unsaved: set[int] = set()

    def put(self, bar: Bar) -> None:
        """Takes a bar that was fetched, or an empty one for what is not there."""
        self.bars[bar.start] = bar

    def add(self, start: int, update: Update) -> Bar | None:
        """Enters an update and returns its bar; None when it is a repeat."""
        bar = self.bars.get(start)
        if bar is None:
            bar = self.bars[start] = Bar(start)
            self.newest = max(self.newest, start)
        return bar if bar.add(update) else None

    def trim(self) -> None:
        """Lets go of what is written, except the newest bar."""
        if len(self.bars) < 2:
            return
        keep = self.bare | self.unsaved
        for start in [start for start in self.bars if start != self.newest and start not in keep]:
            del self.bars[start]
            self.known = max(self.known, start)


class SymbolBars:
    """One symbol: its number in the database, the partition it came from last, its three lanes.

    `previous` is the day before the newest one and its close.
    """

    __slots__ = ("days", "minutes", "number", "partition", "previous", "saved_close", "seconds", "symbol")

    def __init__(
        self,
        symbol: str,
        number: int,
        second: int = -1,
        minute: int = -1,
        days: Collection[Bar] = (),
        saved_close: float | None = None,
    ) -> None:
        """`second` and `minute` are the newest that are stored, `days` the newest two stored days."""
        self.symbol = symbol
        self.number = number
        self.partition = -1
        self.seconds = BarSeries(second)
        self.minutes = BarSeries(minute)
        past = sorted(days, key=lambda bar: bar.start)
        self.days = BarSeries(past[-1].start if past else -1)
        for bar in past:
            self.days.put(bar)
        self.previous: tuple[int, float] | None = (past[0].start, past[0].close) if len(past) > 1 else None
        self.saved_close = saved_close

    @property
    def previous_close(self) -> float | None:
        return self.previous[1] if self.previous else None

    @property
    def day(self) -> Bar | None:
        """The newest day."""
        return self.days.bars.get(self.days.newest)

    @property
    def waits_for_redis(self) -> bool:
        return bool(self.seconds.bare or self.minutes.bare or self.days.bare)

    def enter_day(self, start: int, update: Update) -> bool:
        """Adds to a day, and keeps `previous` right when a new day begins or an older one changes."""
        before = self.day
        if (bar := self.days.add(start, update)) is None:
            return False
        if before is not None and start > before.start:
            self.previous = (before.start, before.close)
        elif start < self.days.newest and (self.previous is None or start >= self.previous[0]):
            self.previous = (start, bar.close)
        return True


class OpenBars:
    """All symbols of this process."""

    def __init__(self, days: Days) -> None:
        self._days = days
        self.tracks: dict[str, SymbolBars] = {}
        self._begun = [0, 0]

    @property
    def begun(self) -> int:
        """How many seconds and minutes were begun and not written since: what memory depends on."""
        return sum(self._begun)

    def strangers(self, updates: Iterable[Update]) -> list[str]:
        """Symbols that have no track yet, each once."""
        return list(dict.fromkeys(update.symbol for update in updates if update.symbol not in self.tracks))

    def enter(self, track: SymbolBars) -> None:
        self.tracks[track.symbol] = track

    def wanted(self, updates: Iterable[Update], second: int, minute: int) -> tuple[Wanted, Wanted, Wanted]:
        """Seconds, minutes and days to fetch before these updates are added; the first two not before a start.

        Every symbol has its track.
        """
        lists: tuple[dict[SymbolBars, set[int]], ...] = ({}, {}, {})
        for update in updates:
            track, at = self.tracks[update.symbol], update.timestamp
            starts = (at // SECOND, at // MINUTE, self._days.find(at))
            if starts[0] > track.seconds.known and starts[1] > track.minutes.known and starts[2] > track.days.known:
                continue
            for found, lane, start, least in zip(
                lists, (track.seconds, track.minutes, track.days), starts, (second, minute, 0), strict=True
            ):
                if least <= start <= lane.known and start not in lane.bars:
                    found.setdefault(track, set()).add(start)
        seconds, minutes, days = ([(track, sorted(starts)) for track, starts in found.items()] for found in lists)
        return seconds, minutes, days

    def add(self, update: Update, partition: int, second: int, minute: int) -> bool:
        """Enters an update, into bars of seconds and minutes from these starts on. False when it is a repeat."""
        track, at = self.tracks[update.symbol], update.timestamp
        track.partition = partition
        news = False
        if (start := at // SECOND) >= second and (bar := track.seconds.add(start, update)):
            track.seconds.bare.add(start)
            self._begun[0] += bar.count == 1
            news = True
        if (start := at // MINUTE) >= minute and (bar := track.minutes.add(start, update)):
            track.minutes.bare.add(start)
            track.minutes.unsaved.add(start)
            self._begun[1] += bar.count == 1
            news = True
        start = self._days.find(at)
        if track.enter_day(start, update):
            track.days.bare.add(start)
            track.days.unsaved.add(start)
            news = True
        return news

    def bare(self) -> list[SymbolBars]:
        """Symbols with something that is not in Redis."""
        return [track for track in self.tracks.values() if track.waits_for_redis]

    def unsaved(self, lane: str) -> Iterator[tuple[SymbolBars, list[Bar]]]:
        """Bars that are not in the database, of `minutes` or `days`."""
        for track in self.tracks.values():
            found: BarSeries = getattr(track, lane)
            if found.unsaved:
                yield track, [found.bars[start] for start in sorted(found.unsaved)]

    def turned(self) -> list[SymbolBars]:
        """Symbols whose previous close is not yet in the database."""
        return [track for track in self.tracks.values() if track.previous_close != track.saved_close]

    def dress(self, tracks: Iterable[SymbolBars]) -> None:
        """What these symbols had for Redis is there."""
        for track in tracks:
            for lane in (track.seconds, track.minutes, track.days):
                lane.bare.clear()
            track.seconds.trim()
        self._begun[0] = 0

    def save(self) -> None:
        """All bars are in the database."""
        for track in self.tracks.values():
            for lane in (track.minutes, track.days):
                lane.unsaved.clear()
                lane.trim()
        self._begun[1] = 0

    def forget(self, partitions: Collection[int]) -> None:
        """Drops the symbols of partitions that are somebody else's now."""
        for symbol in [symbol for symbol, track in self.tracks.items() if track.partition in partitions]:
            del self.tracks[symbol]
