from collections.abc import Iterable, Sequence

import pytest
from django.db import connection

from feeds.errors import BarArchiveUnavailable
from feeds.models import DayBar, MinuteBar, Tape
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar
from feeds.recorder.past import PreviousDay
from feeds.recorder.symbol_bars import MINUTE_US, SymbolBars
from feeds.wire import Update

pytestmark = pytest.mark.django_db

TODAY = 739_942
SEQ_IDS = (1, 2, 3, 7)


@pytest.fixture
def archive() -> BarArchive:
    return BarArchive()


def bar(start: int, seq_ids: Iterable[int] = SEQ_IDS, length_us: int = MINUTE_US, size: float = 0.0) -> Bar:
    result = Bar(start)
    for seq_id in seq_ids:
        result.add(Update("AAPL", float(seq_id), start * length_us + seq_id, seq_id, size))
    return result


def load(archive: BarArchive, symbol: str = "AAPL") -> SymbolBars:
    [symbol_bars] = archive.load_symbols({symbol: -1})
    return symbol_bars


def save(archive: BarArchive, symbol_bars: SymbolBars, minutes: list[Bar], days: Sequence[Bar] = ()) -> int:
    return archive.save(iter([(symbol_bars, minutes)]), iter([(symbol_bars, list(days))]))


def fetch(archive: BarArchive, symbol_bars: SymbolBars, *starts: int) -> list[object]:
    archive.fetch_minutes([(symbol_bars, list(starts))])
    return [symbol_bars.minutes.bars[start].state for start in starts]


def test_a_minute_is_read_as_it_was_saved_even_with_gaps(archive: BarArchive):
    symbol_bars = load(archive)
    saved = [bar(5, size=0.1), bar(6, range(9), size=2.5)]
    assert save(archive, symbol_bars, saved) == 2
    assert fetch(archive, symbol_bars, 5, 6, 7) == [*(stored.state for stored in saved), Bar(7).state]
    assert [stored.state for stored in archive.read_minutes(symbol_bars, 6)] == [saved[1].state]


def test_a_day_is_read_as_it_was_saved(archive: BarArchive):
    symbol_bars = load(archive)
    days = [bar(TODAY - 1, size=1e9), bar(TODAY, size=1e-8)]
    save(archive, symbol_bars, [], days)
    archive.fetch_days([(symbol_bars, [TODAY - 1, TODAY, TODAY + 1])])
    assert [stored.state for stored in symbol_bars.days.bars.values()] == [
        *(day.state for day in days),
        Bar(TODAY + 1).state,
    ]


def test_a_symbol_is_loaded_with_its_newest_minute_last_two_days_and_previous_close(archive: BarArchive):
    symbol_bars = load(archive)
    save(archive, symbol_bars, [bar(5), bar(8)], [bar(TODAY - 2), bar(TODAY - 1), bar(TODAY)])
    symbol_bars.previous_day = PreviousDay(TODAY - 1, 149.5)
    archive.save_closes([symbol_bars])
    other = load(archive, "BRK.B")
    save(archive, other, [bar(9)])

    again = load(archive)
    assert (again.tape_id, again.minutes.newest_stored, sorted(again.days.bars)) == (
        symbol_bars.tape_id,
        8,
        [TODAY - 1, TODAY],
    )
    assert again.previous_day == (TODAY - 1, 7.0)
    assert again.saved_close == 149.5
    assert other.tape_id != symbol_bars.tape_id
    assert Tape.objects.get(symbol="AAPL").previous_close == 149.5


def test_a_bar_with_a_lower_count_does_not_replace_the_stored_one(archive: BarArchive):
    symbol_bars = load(archive)
    save(archive, symbol_bars, [bar(5)], [bar(TODAY)])
    save(archive, symbol_bars, [bar(5, [1, 2])], [bar(TODAY, [1, 2])])
    assert fetch(archive, symbol_bars, 5) == [bar(5).state]
    assert DayBar.objects.get().count == 4


def test_old_minutes_are_deleted_in_batches_and_days_are_kept(archive: BarArchive):
    symbols = [load(archive, symbol) for symbol in ("AAPL", "BRK.B", "GOOG")]
    for symbol_bars in symbols:
        save(archive, symbol_bars, [bar(start) for start in range(10)], [bar(TODAY)])
    assert [archive.purge(before=6, max_rows=7) for _ in range(4)] == [7, 7, 4, 0]
    assert sorted(found.minute for found in MinuteBar.objects.all()) == sorted([6, 7, 8, 9] * 3)
    assert {found.tape for found in MinuteBar.objects.all()} == {symbol_bars.tape_id for symbol_bars in symbols}
    assert DayBar.objects.count() == 3
    assert archive.purge(before=7) == 3


def test_the_text_of_a_stored_bar_names_its_tape_and_time(archive: BarArchive):
    symbol_bars = load(archive)
    save(archive, symbol_bars, [bar(5)], [bar(TODAY)])
    assert str(MinuteBar.objects.get()) == f"tape {symbol_bars.tape_id}, minute 5"
    assert str(DayBar.objects.get()) == "AAPL 2026-11-22"


@pytest.mark.django_db(transaction=True)
def test_a_missing_table_raises_an_error_that_names_migrate_and_a_later_save_succeeds(archive: BarArchive):
    symbol_bars = load(archive)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE feeds_minutebar RENAME TO elsewhere")
    try:
        with pytest.raises(BarArchiveUnavailable, match=r"manage\.py migrate"):
            save(archive, symbol_bars, [bar(5)])
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO feeds_minutebar")
    assert save(archive, symbol_bars, [bar(5)]) == 1


def test_two_recorders_with_one_symbol_make_one_bar_whoever_saves_first(archive: BarArchive):
    for order in (1, -1):
        MinuteBar.objects.all().delete()
        DayBar.objects.all().delete()
        old, new = load(archive), load(archive)
        save(archive, old, [bar(5, range(10))], [bar(TODAY, range(10))])
        parts = [(old, range(30)), (new, [*range(10), *range(30, 50)])][::order]
        for symbol_bars, seq_ids in parts:
            save(archive, symbol_bars, [bar(5, seq_ids)], [bar(TODAY, seq_ids)])
        archive.fetch_days([(old, [TODAY])])
        assert fetch(archive, old, 5) == [bar(5, range(50)).state]
        assert old.days.bars[TODAY].state == bar(TODAY, range(50)).state


def test_a_bar_that_was_merged_while_it_was_saved_is_written_to_redis_again(archive: BarArchive):
    old, new = load(archive), load(archive)
    save(archive, old, [bar(5, [1, 2])], [bar(TODAY, [1, 2])])
    assert (old.minutes.unwritten, old.days.unwritten) == (set(), set())
    save(archive, new, [bar(5, [3])], [bar(TODAY, [3])])
    assert (new.minutes.unwritten, new.days.unwritten) == ({5}, {TODAY})
