from collections.abc import Callable
from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import BarStarts, OpenBars
from feeds.recorder.past import Past, PreviousDay
from feeds.recorder.symbol_bars import MINUTE_US, SECOND_US, BarSeries, SymbolBars
from feeds.records import Span
from feeds.source_names import SIMULATED
from feeds.wire import Update
from tests.support.recording.bars import DAY_US, FIRST_DAY, NO_OLDEST, UTC_DAYS, UTC_EVERYWHERE

SYMBOLS = ("AAPL", "BRK.B")

StoredBars = dict[tuple[str, int], Bar]
"""By symbol and start."""


class MemoryStores:
    """Stands for Redis, the database and the committed offset."""

    def __init__(self) -> None:
        self.seconds: StoredBars = {}
        self.minutes: StoredBars = {}
        self.days: StoredBars = {}
        self.closes: dict[str, float | None] = {}
        self.offset = 0

    def load_symbol(self, symbol: str) -> SymbolBars:
        newest_second, newest_minute = (
            max((start for name, start in stored if name == symbol), default=-1)
            for stored in (self.seconds, self.minutes)
        )
        days = sorted((bar for (name, _), bar in self.days.items() if name == symbol), key=lambda bar: bar.start)
        return SymbolBars(symbol, 1, newest_second, newest_minute, deepcopy(days[-2:]), self.closes.get(symbol))

    def add(self, open_bars: OpenBars, updates: list[Update]) -> None:
        """Loads the bars that the updates belong to, then adds the updates."""
        for symbol in open_bars.find_unknown({update.symbol: SIMULATED for update in updates}):
            open_bars.add_symbol(self.load_symbol(symbol))
        to_fetch = open_bars.find_bars_to_fetch(updates, *NO_OLDEST)
        fetch(self.seconds, to_fetch.seconds, lambda symbol_bars: symbol_bars.seconds)
        fetch(self.minutes, to_fetch.minutes, lambda symbol_bars: symbol_bars.minutes)
        fetch(self.days, to_fetch.days, lambda symbol_bars: symbol_bars.days)
        for update in updates:
            open_bars.add(update, 0, *NO_OLDEST)

    def write(self, open_bars: OpenBars) -> None:
        symbols = open_bars.unwritten_symbols()
        for symbol_bars in symbols:
            for start in symbol_bars.seconds.unwritten:
                self.seconds[symbol_bars.symbol, start] = deepcopy(symbol_bars.seconds.bars[start])
        open_bars.mark_written(symbols)

    def save(self, open_bars: OpenBars, offset: int) -> None:
        self.write(open_bars)
        for stored, unsaved in (
            (self.minutes, open_bars.unsaved_minutes()),
            (self.days, open_bars.unsaved_days()),
        ):
            for symbol_bars, bars in unsaved:
                stored.update({(symbol_bars.symbol, bar.start): deepcopy(bar) for bar in bars})
        for symbol_bars in open_bars.symbols_with_unsaved_close():
            self.closes[symbol_bars.symbol] = symbol_bars.saved_close = symbol_bars.previous_close
        open_bars.mark_saved()
        self.offset = offset

    @property
    def state(self) -> list[object]:
        return state_of(self.seconds, self.minutes, self.days, self.closes)


def fetch(stored: StoredBars, wanted: BarStarts, series_of: Callable[[SymbolBars], BarSeries]) -> None:
    for symbol_bars, starts in wanted:
        for start in starts:
            bar = stored.get((symbol_bars.symbol, start))
            series_of(symbol_bars).put(deepcopy(bar) if bar else Bar(start))


def state_of(
    seconds: StoredBars, minutes: StoredBars, days: StoredBars, closes: dict[str, float | None]
) -> list[object]:
    return [{key: bar.state for key, bar in bars.items()} for bars in (seconds, minutes, days)] + [closes]


def expected(feed: list[Update]) -> list[object]:
    """The state that the stores must have: each update added to its bars in turn."""
    bars: tuple[StoredBars, StoredBars, StoredBars] = ({}, {}, {})
    for update in feed:
        starts = (update.timestamp // SECOND_US, update.timestamp // MINUTE_US, UTC_DAYS.day_at(update.timestamp))
        for stored, start in zip(bars, starts, strict=True):
            stored.setdefault((update.symbol, start), Bar(start)).add(update)
    days = bars[2]
    closes: dict[str, float | None] = {}
    for symbol, start in sorted(days):
        before = [days[key].close for key in sorted(days) if key[0] == symbol and key[1] < start]
        if before:
            closes[symbol] = before[-1]
    return state_of(*bars, closes)


@st.composite
def feeds(draw: st.DrawFn) -> list[Update]:
    """The records of a topic.

    The seq_ids grow by one per symbol. Times mostly grow; some updates are late or repeated.
    """
    feed, at, seq_ids = [], 0, dict.fromkeys(SYMBOLS, 0)
    for _ in range(draw(st.integers(1, 40))):
        symbol = draw(st.sampled_from(SYMBOLS))
        at += draw(st.sampled_from([1, SECOND_US // 2, SECOND_US, MINUTE_US, DAY_US // 3]))
        seq_ids[symbol] += 1
        late = draw(st.sampled_from([0, 0, 0, 0, SECOND_US, 2 * MINUTE_US, DAY_US]))
        price = draw(st.sampled_from([1.0, 1.5, 2.0]))
        feed.append(Update(symbol, price, max(0, at - late), seq_ids[symbol]))
        if draw(st.integers(0, 9)) == 0:
            feed.append(draw(st.sampled_from(feed)))
    return feed


@given(feeds(), st.lists(st.sampled_from(["read", "read", "read", "write", "save", "crash", "replay"]), max_size=40))
def test_batches_crashes_and_replays_change_no_bar(feed: list[Update], steps: list[str]):
    stores, open_bars, offset = MemoryStores(), OpenBars(UTC_EVERYWHERE), 0
    for step in [*steps, "read all"]:
        if step in {"crash", "replay"}:
            open_bars, offset = OpenBars(UTC_EVERYWHERE), stores.offset if step == "crash" else 0
        elif step == "write":
            stores.write(open_bars)
        elif step == "save":
            stores.save(open_bars, offset)
        else:
            updates = feed[offset:] if step == "read all" else feed[offset : offset + 5]
            stores.add(open_bars, updates)
            offset += len(updates)
    stores.save(open_bars, offset)
    assert stores.state == expected(feed)
    assert open_bars.new_bars == 0
    assert list(open_bars.unsaved_minutes()) == []


def test_only_the_newest_bars_stay_in_memory_after_a_save():
    stores, open_bars = MemoryStores(), OpenBars(UTC_EVERYWHERE)
    stores.add(open_bars, [Update("AAPL", 1.5, at * MINUTE_US, at) for at in range(3000)])
    assert open_bars.new_bars == 6000
    stores.save(open_bars, 3000)
    symbol_bars = open_bars.by_symbol["AAPL"]
    assert [len(series.bars) for series in (symbol_bars.seconds, symbol_bars.minutes, symbol_bars.days)] == [1, 1, 1]


def test_an_update_before_the_oldest_second_and_minute_is_added_to_its_day_only():
    open_bars = OpenBars(UTC_EVERYWHERE)
    open_bars.add_symbol(SymbolBars("AAPL", 1))
    update = Update("AAPL", 1.5, 5 * MINUTE_US, 1)
    assert open_bars.add(update, 0, oldest_second=301, oldest_minute=6)
    symbol_bars = open_bars.by_symbol["AAPL"]
    assert (symbol_bars.seconds.bars, symbol_bars.minutes.bars, list(symbol_bars.days.bars)) == ({}, {}, [FIRST_DAY])
    assert not open_bars.add(update, 0, oldest_second=301, oldest_minute=6)


def test_a_late_update_changes_the_previous_close_and_not_the_newest_day():
    open_bars = OpenBars(UTC_EVERYWHERE)
    open_bars.add_symbol(SymbolBars("AAPL", 1))
    symbol_bars = open_bars.by_symbol["AAPL"]
    assert symbol_bars.newest_day is None
    for seq_id, (at, price) in enumerate([(0, 1.0), (2 * DAY_US, 3.0), (DAY_US, 2.0), (1, 9.0)]):
        open_bars.add(Update("AAPL", price, at, seq_id), 0, *NO_OLDEST)
    assert symbol_bars.previous_day == (FIRST_DAY + 1, 2.0)
    assert symbol_bars.newest_day is not None
    assert symbol_bars.newest_day.ohlc_count == (3.0, 3.0, 3.0, 3.0, 1)


def test_symbols_of_lost_partitions_are_dropped():
    open_bars = OpenBars(UTC_EVERYWHERE)
    for partition, symbol in enumerate(SYMBOLS):
        open_bars.add_symbol(SymbolBars(symbol, 1))
        open_bars.add(Update(symbol, 1.5, 1, 1), partition, *NO_OLDEST)
    open_bars.drop_partitions([1, 2])
    assert list(open_bars.by_symbol) == ["AAPL"]
    assert open_bars.find_unknown(dict.fromkeys(SYMBOLS, SIMULATED)) == {"BRK.B": SIMULATED}


def test_unsaved_bars_of_an_earlier_source_stay_until_they_are_saved():
    open_bars = OpenBars(UTC_EVERYWHERE)
    for source in ("simulated", "kraken", "coinbase"):
        open_bars.add_symbol(SymbolBars("AAPL", 1, source=source))
        open_bars.add(Update("AAPL", 1.5, MINUTE_US, 1), 7, *NO_OLDEST)
    assert [bars.source for bars, _ in open_bars.unsaved_minutes()] == ["simulated", "kraken", "coinbase"]

    kraken = open_bars.take_earlier("AAPL", "kraken")
    assert kraken is not None
    assert kraken.source == "kraken"
    assert open_bars.take_earlier("AAPL", "kraken") is None
    assert [bars.source for bars, _ in open_bars.unsaved_days()] == ["simulated", "coinbase"]

    open_bars.mark_saved()
    assert open_bars.take_earlier("AAPL", "simulated") is None


def test_bars_of_an_earlier_source_are_dropped_with_their_partition():
    open_bars = OpenBars(UTC_EVERYWHERE)
    for source in ("simulated", "kraken"):
        open_bars.add_symbol(SymbolBars("AAPL", 1, source=source))
        open_bars.add(Update("AAPL", 1.5, MINUTE_US, 1), 7, *NO_OLDEST)
    open_bars.drop_partitions([7])
    assert list(open_bars.unsaved_minutes()) == []


def test_missed_spans_are_unsaved_until_the_next_save_even_those_of_an_earlier_source():
    open_bars = OpenBars(UTC_EVERYWHERE)
    open_bars.add_symbol(SymbolBars("AAPL", 1))
    open_bars.add_symbol(SymbolBars("BRK.B", 2))
    open_bars.note_missed("AAPL", [Span(1, 5)])
    open_bars.note_missed("AAPL", [Span(20, 30), Span(4, 9)])
    open_bars.add_symbol(SymbolBars("AAPL", 3, source="kraken"))
    assert list(open_bars.unsaved_spans()) == [(1, (Span(1, 9), Span(20, 30)))]
    open_bars.note_missed("AAPL", [Span(40, 50)])
    open_bars.mark_saved()
    assert list(open_bars.unsaved_spans()) == []


def test_a_changed_past_gives_the_newest_day_another_previous_close():
    symbol_bars = SymbolBars("AAPL", 1)
    symbol_bars.market_days = UTC_DAYS
    past = Past(days=[PreviousDay(FIRST_DAY, 7.0)])
    symbol_bars.change_past(past)
    assert (symbol_bars.previous_close, symbol_bars.days.unwritten) == (None, set())

    symbol_bars.add_to_day(FIRST_DAY + 1, Update("AAPL", 1.5, DAY_US, 1))
    symbol_bars.change_past(past)
    assert (symbol_bars.previous_close, symbol_bars.days.unwritten) == (7.0, {FIRST_DAY + 1})


def test_the_bars_of_an_update_before_the_loaded_ones_must_be_fetched():
    days = [Bar(FIRST_DAY + 5), Bar(FIRST_DAY + 6)]
    open_bars = OpenBars(UTC_EVERYWHERE)
    symbol_bars = SymbolBars("AAPL", 1, 6 * 86_400, 6 * 1440, days)
    open_bars.add_symbol(symbol_bars)
    wanted = open_bars.find_bars_to_fetch([Update("AAPL", 1.5, 2 * DAY_US, 1)], *NO_OLDEST)
    assert wanted.seconds == [(symbol_bars, [2 * 86_400])]
    assert wanted.minutes == [(symbol_bars, [2 * 1440])]
    assert wanted.days == [(symbol_bars, [FIRST_DAY + 2])]
