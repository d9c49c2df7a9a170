from datetime import date

import pytest
from django.db import connection

from feeds.errors import BarArchiveUnavailable
from feeds.history import missed_spans
from feeds.history.missed_spans import Incomplete, find_incomplete, read_spans, save_spans, touched_minutes
from feeds.models import DayBar, MinuteBar, MissedSpan, Origin, Tape
from feeds.records import Span
from tests.support.recording.bars import DAY_US, MINUTE_US

pytestmark = pytest.mark.django_db

PRICES = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "count": 1, "first_seq": 1, "last_seq": 1}
BEGIN = 20_500 * DAY_US


@pytest.fixture
def tape() -> int:
    return Tape.objects.create(symbol="BTC/USD", source="kraken").pk


def stored(tape: int) -> list[Span]:
    return read_spans(tape, 0, 2**62)


def add_minute(tape: int, number: int, origin: Origin = Origin.RECORDED) -> None:
    key = MinuteBar.key(tape, BEGIN // MINUTE_US + number)
    MinuteBar.objects.create(id=key, first_us=0, last_us=1, origin=origin, **PRICES)


def add_day(tape: int, number: int, origin: Origin = Origin.RECORDED) -> None:
    """Adds a day whose updates are from its second to its tenth hour."""
    first, last = (BEGIN + number * DAY_US + hour * 60 * MINUTE_US for hour in (2, 10))
    day = date.fromordinal(739_000 + number)
    DayBar.objects.create(tape_id=tape, day=day, first_at=first, last_at=last, origin=origin, **PRICES)


def test_spans_are_stored_once_whatever_their_order(tape: int):
    other = Tape.objects.create(symbol="BTC/USD", source="coinbase").pk
    save_spans(other, [Span(1, 9)])
    for spans in ([Span(5, 9), Span(20, 30)], [Span(1, 5)], [Span(20, 30), Span(1, 9)], []):
        save_spans(tape, spans)
    assert stored(tape) == [Span(1, 9), Span(20, 30)]
    assert stored(other) == [Span(1, 9)]
    assert str(MissedSpan.objects.get(tape_id=other)) == "BTC/USD 1-9"


def test_beyond_the_limit_the_oldest_spans_of_a_tape_are_united(tape: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(missed_spans, "MAX_SPANS_OF_TAPE", 2)
    for number in range(4):
        save_spans(tape, [Span(10 * number, 10 * number + 1)])
    assert stored(tape) == [Span(0, 21), Span(30, 31)]


def test_spans_are_read_if_they_touch_a_time(tape: int):
    save_spans(tape, [Span(10, 20), Span(30, 40), Span(50, 60)])
    assert read_spans(tape, 20, 50) == [Span(10, 20), Span(30, 40)]


def test_minutes_that_a_span_touches():
    spans = [Span(MINUTE_US - 1, MINUTE_US), Span(5 * MINUTE_US, 9 * MINUTE_US)]
    assert touched_minutes(spans, MINUTE_US, 7 * MINUTE_US) == {1, 5, 6}


def test_without_spans_no_bar_is_incomplete(tape: int):
    add_minute(tape, 1)
    add_day(tape, 0)
    assert find_incomplete(tape, 0) == Incomplete(None, None)


def test_the_oldest_recorded_bars_that_a_span_touches_are_found(tape: int):
    for number, origin in enumerate([Origin.RECORDED, Origin.FETCHED, Origin.RECORDED, Origin.RECORDED]):
        add_minute(tape, number, origin)
        add_day(tape, number, origin)
    save_spans(tape, [Span(BEGIN + MINUTE_US, BEGIN + 9 * MINUTE_US)])
    assert find_incomplete(tape, 0) == Incomplete(BEGIN + 2 * MINUTE_US, None)
    assert find_incomplete(tape, BEGIN + 3 * MINUTE_US) == Incomplete(BEGIN + 3 * MINUTE_US, None)
    save_spans(tape, [Span(BEGIN + DAY_US, BEGIN + 3 * DAY_US)])
    assert find_incomplete(tape, 0) == Incomplete(BEGIN + 2 * MINUTE_US, BEGIN + 2 * DAY_US + 120 * MINUTE_US)
    assert find_incomplete(tape, BEGIN + 4 * DAY_US) == Incomplete(None, None)


@pytest.mark.django_db(transaction=True)
def test_a_missing_table_raises_an_error_that_names_migrate(tape: int):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE feeds_missedspan RENAME TO elsewhere")
    try:
        with pytest.raises(BarArchiveUnavailable, match=r"manage\.py migrate"):
            save_spans(tape, [Span(1, 2)])
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO feeds_missedspan")
