from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import MINUTE, SECOND, OpenBars, SymbolBars, Wanted
from feeds.wire import Update
from tests.support.bars import ALL, DAY, DAYS, FIRST_DAY

SYMBOLS = ("AAPL", "BRK.B")


class Stores:
    """What Redis and the database keep of a book, and the offset that was committed."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, int], Bar] = {}
        self.minutes: dict[tuple[str, int], Bar] = {}
        self.days: dict[tuple[str, int], Bar] = {}
        self.closes: dict[str, float | None] = {}
        self.offset = 0

    def open_track(self, symbol: str) -> SymbolBars:
        second, minute = (
            max((start for name, start in kept if name == symbol), default=-1) for kept in (self.seconds, self.minutes)
        )
        days = sorted((bar for (name, _), bar in self.days.items() if name == symbol), key=lambda bar: bar.start)
        return SymbolBars(symbol, 1, second, minute, deepcopy(days[-2:]), self.closes.get(symbol))

    def fetch(self, lane: str, wanted: Wanted) -> None:
        for track, starts in wanted:
            for start in starts:
                kept = getattr(self, lane).get((track.symbol, start))
                getattr(track, lane).put(deepcopy(kept) if kept else Bar(start))

    def enter(self, book: OpenBars, updates: list[Update]) -> None:
        for symbol in book.strangers(updates):
            book.enter(self.open_track(symbol))
        for lane, wanted in zip(("seconds", "minutes", "days"), book.wanted(updates, *ALL), strict=True):
            self.fetch(lane, wanted)
        for update in updates:
            book.add(update, 0, *ALL)

    def refresh(self, book: OpenBars) -> None:
        tracks = book.bare()
        for track in tracks:
            for start in track.seconds.bare:
                self.seconds[track.symbol, start] = deepcopy(track.seconds.bars[start])
        book.dress(tracks)

    def save(self, book: OpenBars, offset: int) -> None:
        self.refresh(book)
        for lane in ("minutes", "days"):
            for track, bars in book.unsaved(lane):
                getattr(self, lane).update({(track.symbol, bar.start): deepcopy(bar) for bar in bars})
        for track in book.turned():
            self.closes[track.symbol] = track.saved_close = track.previous_close
        book.save()
        self.offset = offset

    @property
    def state(self) -> list[object]:
        kept = (self.seconds, self.minutes, self.days)
        return [{key: bar.state for key, bar in bars.items()} for bars in kept] + [self.closes]


def expected(feed: list[Update]) -> list[object]:
    """The bars of the feed's updates, each added to an empty bar in turn."""
    kept: list[dict[tuple[str, int], Bar]] = [{}, {}, {}]
    for update in feed:
        starts = (update.timestamp // SECOND, update.timestamp // MINUTE, DAYS.find(update.timestamp))
        for bars, start in zip(kept, starts, strict=True):
            bars.setdefault((update.symbol, start), Bar(start)).add(update)
    closes: dict[str, float | None] = {}
    for symbol, start in sorted(kept[2]):
        before = [kept[2][key].close for key in sorted(kept[2]) if key[0] == symbol and key[1] < start]
        if before:
            closes[symbol] = before[-1]
    return [{key: bar.state for key, bar in bars.items()} for bars in kept] + [closes]


@st.composite
def feeds(draw: st.DrawFn) -> list[Update]:
    """A topic: numbers grow by one per symbol, and times mostly; some updates are late, some stand there twice."""
    feed, at, numbers = [], 0, dict.fromkeys(SYMBOLS, 0)
    for _ in range(draw(st.integers(1, 40))):
        symbol = draw(st.sampled_from(SYMBOLS))
        at += draw(st.sampled_from([1, SECOND // 2, SECOND, MINUTE, DAY // 3]))
        numbers[symbol] += 1
        late = draw(st.sampled_from([0, 0, 0, 0, SECOND, 2 * MINUTE, DAY]))
        price = draw(st.sampled_from([1.0, 1.5, 2.0]))
        feed.append(Update(symbol, price, max(0, at - late), numbers[symbol]))
        if draw(st.integers(0, 9)) == 0:
            feed.append(draw(st.sampled_from(feed)))
    return feed


@given(feeds(), st.lists(st.sampled_from(["read", "read", "read", "refresh", "save", "crash", "replay"]), max_size=40))
def test_no_batches_crashes_or_replays_make_other_bars(feed: list[Update], steps: list[str]):
    stores, book, at = Stores(), OpenBars(DAYS), 0
    for step in [*steps, "last"]:
        if step in {"crash", "replay"}:
            book, at = OpenBars(DAYS), stores.offset if step == "crash" else 0
        elif step == "refresh":
            stores.refresh(book)
        elif step == "save":
            stores.save(book, at)
        else:
            some = feed[at:] if step == "last" else feed[at : at + 5]
            stores.enter(book, some)
            at += len(some)
    stores.save(book, at)
    assert stores.state == expected(feed)
    assert book.begun == 0
    assert list(book.unsaved("minutes")) == []


def test_only_the_newest_bars_stay_in_memory_once_they_are_written():
    stores, book = Stores(), OpenBars(DAYS)
    stores.enter(book, [Update("AAPL", 1.5, at * MINUTE, at) for at in range(3000)])
    assert book.begun == 6000
    stores.save(book, 3000)
    track = book.tracks["AAPL"]
    assert [len(lane.bars) for lane in (track.seconds, track.minutes, track.days)] == [1, 1, 1]


def test_what_is_older_than_its_window_goes_into_the_day_alone():
    book = OpenBars(DAYS)
    book.enter(SymbolBars("AAPL", 1))
    assert book.add(Update("AAPL", 1.5, 5 * MINUTE, 1), 0, second=301, minute=6)
    track = book.tracks["AAPL"]
    assert (track.seconds.bars, track.minutes.bars, list(track.days.bars)) == ({}, {}, [FIRST_DAY])
    assert not book.add(Update("AAPL", 1.5, 5 * MINUTE, 1), 0, second=301, minute=6)


def test_a_late_update_changes_the_previous_close_and_not_the_day():
    book = OpenBars(DAYS)
    book.enter(SymbolBars("AAPL", 1))
    track = book.tracks["AAPL"]
    assert track.day is None
    for number, (at, price) in enumerate([(0, 1.0), (2 * DAY, 3.0), (DAY, 2.0), (1, 9.0)]):
        book.add(Update("AAPL", price, at, number), 0, *ALL)
    assert track.previous == (FIRST_DAY + 1, 2.0)
    assert track.day is not None
    assert track.day.figures == (3.0, 3.0, 3.0, 3.0, 1)


def test_symbols_of_partitions_that_are_gone_are_forgotten():
    book = OpenBars(DAYS)
    for partition, symbol in enumerate(SYMBOLS):
        book.enter(SymbolBars(symbol, 1))
        book.add(Update(symbol, 1.5, 1, 1), partition, *ALL)
    book.forget([1, 2])
    assert list(book.tracks) == ["AAPL"]
    assert book.strangers([Update(symbol, 1.5, 1, 1) for symbol in SYMBOLS]) == ["BRK.B"]
