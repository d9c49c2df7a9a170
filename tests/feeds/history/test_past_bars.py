import pytest

from feeds.bar_layout import MAX_VOLUME
from feeds.history.missed_spans import save_spans
from feeds.history.past_bars import complete_past, save_days, save_minutes
from feeds.models import DayBar, MinuteBar, Origin, Tape
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar as RecordedBar
from feeds.recorder.symbol_bars import MINUTE_US, SymbolBars
from feeds.records import Span
from feeds.sources.events import Bar
from feeds.wire import Update

pytestmark = pytest.mark.django_db

MINUTE = 29_400_000
TODAY = 739_942


@pytest.fixture
def archive() -> BarArchive:
    return BarArchive()


@pytest.fixture
def symbol_bars(archive: BarArchive) -> SymbolBars:
    [symbol_bars] = archive.load_symbols({"AAPL": -1})
    return symbol_bars


def past_bar(minute: int = MINUTE, volume: float = 3.0, count: int | None = None) -> Bar:
    return Bar(minute * MINUTE_US, 10.0, 12.0, 9.0, 11.0, volume, count)


def recorded_bar(trades: int, start: int = MINUTE, length_us: int = MINUTE_US) -> RecordedBar:
    """Returns a bar of this number of trades with the size 1."""
    bar = RecordedBar(start)
    for number in range(trades):
        bar.add(Update("AAPL", 100.0, start * length_us + number, number, 1.0))
    return bar


def record(archive: BarArchive, symbol_bars: SymbolBars, trades: int) -> None:
    archive.save([(symbol_bars, [recorded_bar(trades)])], [(symbol_bars, [recorded_bar(trades, TODAY)])])


def save_past(symbol_bars: SymbolBars, bar: Bar, origin: Origin) -> None:
    save_minutes(symbol_bars.tape_id, [bar], origin)
    save_days(symbol_bars.tape_id, {TODAY: bar}, origin)


def save_both(archive: BarArchive, symbol_bars: SymbolBars, *, recorded_first: bool) -> None:
    """Saves a recorded bar and a fetched bar of the same minute and day."""
    if recorded_first:
        record(archive, symbol_bars, trades=5)
    save_past(symbol_bars, past_bar(volume=3.0, count=3), Origin.FETCHED)
    if not recorded_first:
        record(archive, symbol_bars, trades=5)


def stored_origins() -> set[Origin]:
    """Returns the origin of the minute and that of the day."""
    return {Origin(table.objects.get().origin) for table in (MinuteBar, DayBar)}


def test_a_minute_and_a_day_are_read_as_they_were_saved(symbol_bars: SymbolBars):
    save_past(symbol_bars, past_bar(volume=2.5, count=4), Origin.FETCHED)
    minute, day = MinuteBar.objects.get(), DayBar.objects.get()
    values = (10.0, 12.0, 9.0, 11.0, 4, 250_000_000)
    assert (minute.open, minute.high, minute.low, minute.close, minute.count, minute.volume) == values
    assert (day.open, day.high, day.low, day.close, day.count, day.volume) == values
    assert (minute.minute, day.day.toordinal(), day.first_at) == (MINUTE, TODAY, MINUTE * MINUTE_US)


def test_a_volume_beyond_the_limit_becomes_the_limit(symbol_bars: SymbolBars):
    save_past(symbol_bars, past_bar(volume=1e15), Origin.FETCHED)
    assert MinuteBar.objects.get().volume == MAX_VOLUME


def test_a_recorded_bar_replaces_a_bar_of_the_simulated_past(archive: BarArchive, symbol_bars: SymbolBars):
    save_past(symbol_bars, past_bar(volume=1e6), Origin.SIMULATED_PAST)
    record(archive, symbol_bars, trades=1)
    assert stored_origins() == {Origin.RECORDED}
    assert MinuteBar.objects.get().close == 100.0


def test_the_simulated_past_never_replaces_a_recorded_bar(archive: BarArchive, symbol_bars: SymbolBars):
    record(archive, symbol_bars, trades=1)
    save_past(symbol_bars, past_bar(volume=1e6, count=9), Origin.SIMULATED_PAST)
    assert stored_origins() == {Origin.RECORDED}


@pytest.mark.parametrize("recorded_first", [True, False])
@pytest.mark.parametrize(
    ("trades", "volume", "count", "winner"),
    [
        (3, 3.0, 3, Origin.RECORDED),
        (3, 3.0, None, Origin.RECORDED),
        (3, 3.00000001, 3, Origin.RECORDED),
        (4, 3.0, 3, Origin.RECORDED),
        (2, 3.0, 3, Origin.FETCHED),
        (2, 3.0, None, Origin.FETCHED),
        (3, 3.0, 4, Origin.FETCHED),
        (3, 3.0001, 3, Origin.FETCHED),
    ],
)
def test_a_recorded_bar_wins_only_if_it_has_all_trades_of_the_fetched_bar(
    archive: BarArchive,
    symbol_bars: SymbolBars,
    trades: int,
    volume: float,
    count: int | None,
    winner: Origin,
    recorded_first: bool,
):
    if recorded_first:
        record(archive, symbol_bars, trades)
    save_past(symbol_bars, past_bar(volume=volume, count=count), Origin.FETCHED)
    if not recorded_first:
        record(archive, symbol_bars, trades)
    assert stored_origins() == {winner}


@pytest.mark.parametrize("recorded_first", [True, False])
@pytest.mark.parametrize(
    ("span", "winner"),
    [
        ((-9, -1), (Origin.RECORDED, Origin.RECORDED)),
        ((-9, 0), (Origin.FETCHED, Origin.RECORDED)),
        ((MINUTE_US - 1, MINUTE_US), (Origin.FETCHED, Origin.RECORDED)),
        ((MINUTE_US, 2 * MINUTE_US), (Origin.RECORDED, Origin.RECORDED)),
    ],
)
def test_a_recorded_minute_that_a_missed_span_touches_does_not_win(
    archive: BarArchive,
    symbol_bars: SymbolBars,
    span: tuple[int, int],
    winner: tuple[Origin, Origin],
    recorded_first: bool,
):
    begin = MINUTE * MINUTE_US
    save_spans(symbol_bars.tape_id, [Span(begin + span[0], begin + span[1])])
    save_both(archive, symbol_bars, recorded_first=recorded_first)
    assert (MinuteBar.objects.get().origin, DayBar.objects.get().origin) == winner


@pytest.mark.parametrize("recorded_first", [True, False])
@pytest.mark.parametrize(
    ("span", "winner"), [((-9, -1), Origin.RECORDED), ((2, 3), Origin.FETCHED), ((-9, 9), Origin.FETCHED)]
)
def test_a_recorded_day_that_a_missed_span_touches_does_not_win(
    archive: BarArchive, symbol_bars: SymbolBars, span: tuple[int, int], winner: Origin, recorded_first: bool
):
    first = recorded_bar(5, TODAY).first_at
    other = Tape.objects.create(symbol="MSFT").pk
    save_spans(other, [Span(0, 2**62)])
    save_spans(symbol_bars.tape_id, [Span(first + span[0], first + span[1])])
    save_both(archive, symbol_bars, recorded_first=recorded_first)
    assert DayBar.objects.get().origin == winner


def test_a_bar_of_the_simulated_past_never_replaces_a_recorded_bar_that_lacks_trades(
    archive: BarArchive, symbol_bars: SymbolBars
):
    save_spans(symbol_bars.tape_id, [Span(0, 2**62)])
    save_past(symbol_bars, past_bar(), Origin.SIMULATED_PAST)
    record(archive, symbol_bars, trades=1)
    save_past(symbol_bars, past_bar(volume=1e6, count=9), Origin.SIMULATED_PAST)
    assert stored_origins() == {Origin.RECORDED}


def test_a_fetched_bar_has_no_runs_of_the_recorded_bar_that_it_replaces(archive: BarArchive, symbol_bars: SymbolBars):
    bar = recorded_bar(1)
    bar.add(Update("AAPL", 100.0, MINUTE * MINUTE_US + 90, 90, 1.0))
    archive.save([(symbol_bars, [bar])], [])
    assert MinuteBar.objects.get().runs is not None
    save_minutes(symbol_bars.tape_id, [past_bar()], Origin.FETCHED)
    assert (MinuteBar.objects.get().origin, MinuteBar.objects.get().runs) == (Origin.FETCHED, None)


def test_a_recorder_does_not_count_the_trades_of_a_fetched_bar_as_its_own(archive: BarArchive, symbol_bars: SymbolBars):
    save_past(symbol_bars, past_bar(count=7), Origin.FETCHED)
    archive.fetch_minutes([(symbol_bars, [MINUTE])])
    archive.fetch_days([(symbol_bars, [TODAY])])
    assert (symbol_bars.minutes.bars[MINUTE].count, symbol_bars.days.bars[TODAY].count) == (0, 0)
    bar = recorded_bar(1)
    archive.save([(symbol_bars, [bar])], [])
    assert bar.count == 1


def test_minutes_for_a_ring_include_those_that_were_not_recorded(archive: BarArchive, symbol_bars: SymbolBars):
    save_minutes(symbol_bars.tape_id, [past_bar(MINUTE), past_bar(MINUTE + 1, count=7)], Origin.FETCHED)
    bars = archive.read_minutes(symbol_bars, MINUTE)
    assert [(bar.start, bar.close, bar.count) for bar in bars] == [(MINUTE, 11.0, 1), (MINUTE + 1, 11.0, 7)]


def test_a_complete_past_is_loaded_with_its_newest_two_days(archive: BarArchive, symbol_bars: SymbolBars):
    save_days(symbol_bars.tape_id, {TODAY - at: past_bar() for at in range(5)}, Origin.SIMULATED_PAST)
    assert not symbol_bars.past.is_complete
    complete_past(symbol_bars.tape_id)

    [(changed, past)] = archive.find_changed_pasts([symbol_bars])
    assert changed is symbol_bars
    assert (past.is_complete, past.version, past.days) == (True, 1, [(TODAY, 11.0), (TODAY - 1, 11.0)])
    symbol_bars.change_past(past)
    assert archive.find_changed_pasts([symbol_bars]) == []


def test_a_tape_starts_without_a_past():
    assert Tape.objects.create(symbol="AAPL").has_past is False
