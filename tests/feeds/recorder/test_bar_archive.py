from collections.abc import Iterable, Sequence

import pytest
from django.db import connection

from feeds.errors import BarArchiveUnavailable
from feeds.models import DayBar, MinuteBar, Tape
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import MINUTE, SymbolBars
from feeds.wire import Update

pytestmark = pytest.mark.django_db

TODAY = 739_942
NUMBERS = (1, 2, 3, 7)


@pytest.fixture
def archive() -> BarArchive:
    return BarArchive()


def bar(start: int, numbers: Iterable[int] = NUMBERS, length: int = MINUTE) -> Bar:
    made = Bar(start)
    for number in numbers:
        made.add(Update("AAPL", float(number), start * length + number, number))
    return made


def track(archive: BarArchive, symbol: str = "AAPL") -> SymbolBars:
    [opened] = archive.open_tracks({symbol: -1})
    return opened


def save(archive: BarArchive, owner: SymbolBars, minutes: list[Bar], days: Sequence[Bar] = ()) -> int:
    return archive.save(iter([(owner, minutes)]), iter([(owner, list(days))]))


def fetch(archive: BarArchive, owner: SymbolBars, *starts: int) -> list[object]:
    archive.fetch_minutes([(owner, list(starts))])
    return [owner.minutes.bars[start].state for start in starts]


def test_a_bar_is_read_as_it_was_saved_gaps_and_all(archive: BarArchive):
    owner = track(archive)
    saved = [bar(5), bar(6, range(9))]
    assert save(archive, owner, saved) == 2
    assert fetch(archive, owner, 5, 6, 7) == [*(each.state for each in saved), Bar(7).state]
    assert [each.state for each in archive.read_minutes(owner, 6)] == [saved[1].state]


def test_a_day_is_read_as_it_was_saved(archive: BarArchive):
    owner = track(archive)
    days = [bar(TODAY - 1), bar(TODAY)]
    save(archive, owner, [], days)
    archive.fetch_days([(owner, [TODAY - 1, TODAY, TODAY + 1])])
    assert [each.state for each in owner.days.bars.values()] == [*(day.state for day in days), Bar(TODAY + 1).state]


def test_a_symbol_is_met_with_its_newest_minute_its_last_two_days_and_its_close(archive: BarArchive):
    owner = track(archive)
    save(archive, owner, [bar(5), bar(8)], [bar(TODAY - 2), bar(TODAY - 1), bar(TODAY)])
    owner.previous = (TODAY - 1, 149.5)
    archive.save_closes([owner])
    other = track(archive, "BRK.B")
    save(archive, other, [bar(9)])

    again = track(archive)
    assert (again.number, again.minutes.known, sorted(again.days.bars)) == (owner.number, 8, [TODAY - 1, TODAY])
    assert again.previous == (TODAY - 1, 7.0)
    assert again.saved_close == 149.5
    assert other.number != owner.number
    assert Tape.objects.get(symbol="AAPL").previous_close == 149.5


def test_a_bar_that_has_counted_less_undoes_nothing(archive: BarArchive):
    owner = track(archive)
    save(archive, owner, [bar(5)], [bar(TODAY)])
    save(archive, owner, [bar(5, [1, 2])], [bar(TODAY, [1, 2])])
    assert fetch(archive, owner, 5) == [bar(5).state]
    assert DayBar.objects.get().count == 4


def test_old_minutes_go_in_batches_and_days_stay(archive: BarArchive):
    owners = [track(archive, symbol) for symbol in ("AAPL", "BRK.B", "GOOG")]
    for owner in owners:
        save(archive, owner, [bar(start) for start in range(10)], [bar(TODAY)])
    assert [archive.purge(before=6, most=7) for _ in range(4)] == [7, 7, 4, 0]
    assert sorted(found.minute for found in MinuteBar.objects.all()) == sorted([6, 7, 8, 9] * 3)
    assert {found.tape for found in MinuteBar.objects.all()} == {owner.number for owner in owners}
    assert DayBar.objects.count() == 3
    assert archive.purge(before=7) == 3


def test_bars_name_themselves(archive: BarArchive):
    owner = track(archive)
    save(archive, owner, [bar(5)], [bar(TODAY)])
    assert str(MinuteBar.objects.get()) == f"tape {owner.number}, minute 5"
    assert str(DayBar.objects.get()) == "AAPL 2026-11-22"


@pytest.mark.django_db(transaction=True)
def test_without_its_tables_it_says_what_to_do_and_works_again_once_they_are_there(archive: BarArchive):
    owner = track(archive)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE feeds_minutebar RENAME TO elsewhere")
    try:
        with pytest.raises(BarArchiveUnavailable, match=r"manage\.py migrate"):
            save(archive, owner, [bar(5)])
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO feeds_minutebar")
    assert save(archive, owner, [bar(5)]) == 1
