from datetime import date
from uuid import uuid4

import pytest
import redis

from feeds import metrics
from feeds.bar_layout import MINUTES, SECONDS, decode_day
from feeds.models import DayBar, MinuteBar, MissedSpan
from feeds.recorder import bar_stores, schedule
from feeds.recorder.symbol_bars import MINUTE_US, SECOND_US
from feeds.records import Span, encode_missed
from feeds.wire import Update
from tests.support.kafka.fixtures import Produce, committed
from tests.support.recording.recorder import (
    NOON,
    SYMBOLS,
    RecorderFactory,
    StopWhen,
    expected_days,
    expected_minutes,
    make_feed,
    read_ring,
    stored_closes,
    stored_days,
    stored_minutes,
)

pytestmark = pytest.mark.django_db(transaction=True)

MIDNIGHT = NOON + 12 * 60 * MINUTE_US
YESTERDAY, TODAY = date(2026, 11, 22), date(2026, 11, 23)


def test_bars_are_recorded_in_both_stores_and_offsets_are_committed(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis
):
    updates = make_feed(60)
    produce(*updates, (b"AAPL", b"not JSON"), (None, None))
    assert factory.run_until_read(len(updates) + 2) is True

    assert stored_minutes() == expected_minutes(updates)
    assert stored_days() == expected_days(updates)
    assert committed(factory.kafka, factory.topic, factory.group) == len(updates) + 2
    for symbol in SYMBOLS:
        own = [update for update in updates if update.symbol == symbol]
        first, last = NOON // MINUTE_US, NOON // MINUTE_US + 59
        minutes = {key[1]: row[:5] for key, row in expected_minutes(own).items()}
        assert read_ring(redis_client, MINUTES, symbol, first, last) == minutes
        latest = factory.now_us // SECOND_US
        seconds = read_ring(redis_client, SECONDS, symbol, latest - 599, latest)
        starts = [update.timestamp // SECOND_US for update in own]
        assert list(seconds) == [start for start in starts if start > latest - 600]
        day = decode_day(redis_client.get(f"day:{symbol}"))
        assert (day.day, day.previous_close, day.count) == ("2026-11-22", None, 360)
        assert (day.open, day.high, day.low, day.close, day.count) == expected_days(own)[symbol, YESTERDAY]
        assert redis_client.ttl(f"day:{symbol}") > 86_400
        assert 0 < redis_client.ttl(f"ring:1s:{symbol}") <= 900


def test_a_replay_of_the_whole_topic_changes_no_row_and_restores_deleted_rows(
    factory: RecorderFactory, produce: Produce
):
    updates = make_feed(30)
    late = [Update(update.symbol, 250.0, update.timestamp + 1, update.seq_id + 10_000) for update in updates[::50]]
    repeated = updates[100:200]
    count = len(updates) + len(late) + len(repeated)
    produce(*updates, *late, *repeated)
    factory.run_until_read(count)
    rows = stored_minutes(), stored_days()
    assert rows[0] == expected_minutes([*updates, *late])
    assert rows[1] == expected_days([*updates, *late])

    factory.group = f"group-{uuid4().hex}"
    factory.run_until_read(count)
    assert (stored_minutes(), stored_days()) == rows

    MinuteBar.objects.all().delete()
    DayBar.objects.all().delete()
    factory.group = f"group-{uuid4().hex}"
    factory.run_until_read(count)
    assert (stored_minutes(), stored_days()) == rows


def test_missed_spans_of_records_are_stored_once_and_survive_a_replay_of_the_topic(
    factory: RecorderFactory, produce: Produce
):
    updates = [update for update in make_feed(10) if update.symbol == "BTC/USD"]
    spans = [Span(NOON, NOON + 5), Span(NOON + 5, NOON + 9), Span(NOON - 100, NOON - 50)]
    produce(*updates, source="kraken")
    for number, span in enumerate(spans):
        late = Update("BTC/USD", 100.0, NOON + number, 10**9 + number)
        produce(late, source="kraken", missed=encode_missed([span]))
    produce(Update("AAPL", 1.5, NOON, 1), missed=b"9" * 10_000)
    count = len(updates) + len(spans) + 1
    factory.run_until_read(count)

    def stored() -> list[tuple[object, ...]]:
        rows = MissedSpan.objects.order_by("first")
        return list(rows.values_list("tape__symbol", "tape__source", "first", "last"))

    expected = [("BTC/USD", "kraken", NOON - 100, NOON - 50), ("BTC/USD", "kraken", NOON, NOON + 9)]
    assert stored() == expected
    minutes = stored_minutes()
    for delete in (False, True):
        if delete:
            MissedSpan.objects.all().delete()
            MinuteBar.objects.all().delete()
            DayBar.objects.all().delete()
        factory.group = f"group-{uuid4().hex}"
        factory.run_until_read(count)
        assert stored() == expected
        assert stored_minutes() == minutes


def test_a_new_day_has_a_previous_close_in_both_stores_and_a_late_update_changes_it(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis
):
    factory.now_us = MIDNIGHT + 10 * MINUTE_US
    updates = make_feed(2, MIDNIGHT - MINUTE_US)
    produce(*updates)
    factory.run_until_read(len(updates))
    assert stored_days() == expected_days(updates)
    assert stored_closes() == {symbol: stored_days()[symbol, YESTERDAY][3] for symbol in SYMBOLS}
    day = decode_day(redis_client.get("day:AAPL"))
    assert (day.day, day.previous_close) == (str(TODAY), stored_days()["AAPL", YESTERDAY][3])

    late = Update("AAPL", 77.0, MIDNIGHT - 1, 10**9)
    produce(late)
    factory.run_until_read(1)
    assert stored_closes()["AAPL"] == 77.0
    assert decode_day(redis_client.get("day:AAPL")).previous_close == 77.0
    assert stored_days() == expected_days([*updates, late])


def test_the_previous_close_of_a_new_day_is_saved_before_the_next_regular_save(
    factory: RecorderFactory, produce: Produce
):
    factory.now_us = MIDNIGHT + 30 * SECOND_US
    produce(*make_feed(1, MIDNIGHT - MINUTE_US))
    recorder = factory.make_recorder()
    recorder.run(StopWhen(lambda: recorder._open_bars.by_symbol))
    assert set(stored_closes().values()) == {None}
    produce(*make_feed(1, MIDNIGHT))
    # The recorder's clock does not advance, so the next regular save would be 32 s later.
    factory.run_until(lambda: None not in stored_closes().values() and len(stored_closes()) == len(SYMBOLS))


def test_old_minutes_are_deleted_in_batches_and_not_recorded_again(
    factory: RecorderFactory, produce: Produce, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bar_stores, "MAX_PURGED_ROWS", 7)
    monkeypatch.setattr(schedule, "SAVE_EVERY_SECONDS", 0.1)
    updates = make_feed(10)
    produce(*updates)
    factory.run_until_read(len(updates))
    factory.now_us += 30 * 1440 * MINUTE_US - 55 * MINUTE_US
    factory.run_until(lambda: MinuteBar.objects.count() == 5 * len(SYMBOLS))
    assert {minute for _, minute in stored_minutes()} == {NOON // MINUTE_US + number for number in range(5, 10)}
    factory.group = f"group-{uuid4().hex}"
    factory.run_until_read(len(updates))
    assert stored_minutes() == expected_minutes(updates[len(updates) // 2 :])
    assert stored_days() == expected_days(updates)


def test_updates_without_a_possible_timestamp_make_no_bars(factory: RecorderFactory, produce: Produce):
    updates = make_feed(2)
    five_minutes = 5 * MINUTE_US
    ahead = [Update("AAPL", 99_999.0, factory.now_us + five_minutes + each, 1) for each in (1, 86_400 * SECOND_US)]
    milliseconds = Update("AAPL", 99_999.0, NOON // 1000, 1)
    skipped = metrics.SKIPPED.labels("timestamp")
    before = skipped._value.get()
    produce(milliseconds, *ahead, *updates)
    factory.run_until_read(len(updates) + 3)

    assert stored_days() == expected_days(updates)
    assert stored_minutes() == expected_minutes(updates)
    assert skipped._value.get() - before == 3
