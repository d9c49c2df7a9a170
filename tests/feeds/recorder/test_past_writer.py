import pytest
import redis

from feeds.bar_layout import MINUTES, decode_day
from feeds.history.past_bars import complete_past, save_days
from feeds.models import DayBar, MinuteBar, Origin, Tape, Ticker
from feeds.recorder.symbol_bars import MINUTE_US
from feeds.sources.events import Bar
from feeds.sources.simulated_past import DAY_COUNT, MINUTE_COUNT
from tests.support.kafka.fixtures import Produce
from tests.support.recording.bars import UTC_DAYS
from tests.support.recording.recorder import (
    NOON,
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

FIRST_MINUTE = NOON // MINUTE_US
TODAY = UTC_DAYS.day_at(NOON)

UPDATES = [update for update in make_feed(3) if update.symbol in {"AAPL", "BTC/USD"}]
Row = tuple[object, ...]


@pytest.fixture
def aapl() -> Ticker:
    return Ticker.objects.create(symbol="AAPL", base_price=100.0, decimals=2)


def past_minutes() -> list[MinuteBar]:
    return list(MinuteBar.objects.filter(origin=Origin.SIMULATED_PAST).order_by("id"))


def past_days() -> list[DayBar]:
    return list(DayBar.objects.filter(origin=Origin.SIMULATED_PAST).order_by("day"))


def values(bars: list[MinuteBar] | list[DayBar]) -> list[Row]:
    return [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]


def run_until_past_is_complete(factory: RecorderFactory) -> None:
    recorder = factory.make_recorder()
    stores = recorder._stores

    def is_complete() -> bool:
        return factory.source.records_read > 0 and not stores.has_missing_past and not stores.has_lost_minutes

    assert recorder.run(StopWhen(is_complete))


def test_a_new_simulated_ticker_gets_a_week_of_minutes_and_a_year_of_days_up_to_its_first_price(
    factory: RecorderFactory, produce: Produce, aapl: Ticker
):
    produce(*UPDATES)
    run_until_past_is_complete(factory)

    minutes, days = past_minutes(), past_days()
    assert [bar.minute for bar in minutes] == list(range(FIRST_MINUTE - MINUTE_COUNT, FIRST_MINUTE))
    assert minutes[-1].close == UPDATES[0].price
    assert [bar.day.toordinal() for bar in days] == list(range(TODAY - DAY_COUNT, TODAY))
    assert {bar.tape for bar in minutes} == {bar.tape_id for bar in days} == {Tape.objects.get(symbol="AAPL").pk}
    assert stored_minutes() == expected_minutes(UPDATES)
    assert stored_days() == expected_days(UPDATES)


def test_the_ring_of_a_new_simulated_ticker_has_a_day_of_minutes(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis, aapl: Ticker
):
    produce(*UPDATES)
    run_until_past_is_complete(factory)

    ring = read_ring(redis_client, MINUTES, "AAPL", FIRST_MINUTE - 1437, FIRST_MINUTE + 2)
    assert list(ring) == list(range(FIRST_MINUTE - 1437, FIRST_MINUTE + 3))
    assert [row[3] for row in ring.values()][:-3] == [bar.close for bar in past_minutes()[-1437:]]
    expected = {key[1]: row[:5] for key, row in expected_minutes(UPDATES).items() if key[0] == "AAPL"}
    assert {start: row for start, row in ring.items() if start >= FIRST_MINUTE} == expected


def test_the_previous_close_of_a_new_simulated_ticker_is_that_of_its_past(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis, aapl: Ticker
):
    produce(*UPDATES)

    def has_close() -> bool:
        day = redis_client.get("day:AAPL")
        return day is not None and decode_day(day).previous_close is not None

    factory.run_until(has_close)
    close = past_days()[-1].close
    assert stored_closes() == {"AAPL": close, "BTC/USD": None}
    assert decode_day(redis_client.get("day:AAPL")).previous_close == close


def test_a_symbol_without_a_simulated_ticker_gets_no_past(factory: RecorderFactory, produce: Produce):
    Ticker.objects.create(symbol="AAPL", base_price=100.0, source="kraken")
    produce(*UPDATES)
    run_until_past_is_complete(factory)
    assert (past_minutes(), past_days()) == ([], [])
    assert not Tape.objects.filter(has_past=True).exists()


def test_an_interrupted_past_is_completed_by_the_next_recorder_with_the_same_bars(
    factory: RecorderFactory, produce: Produce, aapl: Ticker
):
    produce(*UPDATES)
    factory.run_until(lambda: past_minutes())
    assert len(past_minutes()) == MINUTES.slots
    assert past_days() == []
    begun = values(past_minutes())

    produce(*make_feed(1, NOON + 5 * MINUTE_US))
    run_until_past_is_complete(factory)
    assert len(past_minutes()) == MINUTE_COUNT
    assert len(past_days()) == DAY_COUNT
    assert values(past_minutes())[-MINUTES.slots :] == begun


def test_a_complete_past_is_not_written_again(factory: RecorderFactory, produce: Produce, aapl: Ticker):
    produce(*UPDATES)
    run_until_past_is_complete(factory)
    MinuteBar.objects.filter(origin=Origin.SIMULATED_PAST).delete()
    produce(*make_feed(1, NOON + 5 * MINUTE_US))
    factory.run_until_read(5)
    assert past_minutes() == []


def test_bars_that_another_program_saved_reach_redis_and_the_previous_close(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("feeds.recorder.schedule.FOLLOW_EVERY_SECONDS", 0.0)
    produce(*UPDATES)
    recorder = factory.make_recorder()

    def has_close() -> bool:
        if recorder._open_bars.by_symbol and not DayBar.objects.filter(origin=Origin.FETCHED).exists():
            tape = Tape.objects.get(symbol="BTC/USD")
            save_days(tape.pk, {TODAY - 1: Bar(0, 7.0, 9.0, 6.0, 8.0, 1.0)}, Origin.FETCHED)
            complete_past(tape.pk)
        day = redis_client.get("day:BTC/USD")
        return day is not None and decode_day(day).previous_close == 8.0

    recorder.run(StopWhen(has_close))
    assert stored_closes() == {"AAPL": None, "BTC/USD": 8.0}


def test_pasts_wait_until_the_recorder_has_read_the_backlog(
    factory: RecorderFactory, produce: Produce, aapl: Ticker, monkeypatch: pytest.MonkeyPatch
):
    # With this limit the recorder always has too many new bars. It would read nothing, therefore it must not pause.
    monkeypatch.setattr("feeds.recorder.loop.MAX_NEW_BARS", -1)
    monkeypatch.setattr("feeds.recorder.loop.Recorder._pause_or_resume", lambda _recorder: None)
    produce(*UPDATES)
    factory.run_until_read(len(UPDATES))
    assert past_minutes() == []
