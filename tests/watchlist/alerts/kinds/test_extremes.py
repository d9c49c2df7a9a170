from collections.abc import Sequence

import pytest

from feeds.wire import Update
from tests.support.alerting.evaluation import NOON, MemoryDatabase, alert, run, update_at
from tests.support.recording.bars import DAY_US, UTC_DAYS, UTC_EVERYWHERE
from watchlist.alert_kinds import Kind, Repeat, Side, State
from watchlist.alerts.evaluator import Evaluator
from watchlist.alerts.records import AlertRecord, Progress
from watchlist.prices.day import PriceRange

DAY = UTC_DAYS.day_at(NOON)
MIDNIGHT = DAY_US / 2e6
"""Seconds from NOON to the next market day."""


def walk(*prices: float, first: float = 0.0) -> list[Update]:
    """Returns an update of AAPL per second with these prices."""
    return [update_at(price, first + second) for second, price in enumerate(prices)]


def on(kind: Kind, **fields: object) -> AlertRecord:
    return alert(kind, 0.0, **{"repeat": Repeat.EACH, **fields})


def seconds(database: MemoryDatabase) -> list[float]:
    return [(firing.timestamp - NOON) / 1e6 for firing in database.firings]


@pytest.mark.parametrize(
    ("kind", "prices", "fired"),
    [
        (Kind.DAY_HIGH, [100, 100, 99, 101, 101, 100, 102], [3, 6]),
        (Kind.DAY_LOW, [100, 100, 101, 99, 99, 100, 98], [3, 6]),
        (Kind.DAY_HIGH, [100], []),
    ],
)
def test_a_price_beyond_all_prices_of_the_day_fires_and_the_first_one_does_not(
    kind: Kind, prices: Sequence[float], fired: list[float]
):
    assert seconds(run([on(kind)], walk(*prices))) == fired


def test_a_firing_says_which_high_was_passed():
    database = run([on(Kind.DAY_HIGH)], walk(100, 101, 103))
    assert [(each.level, each.price, each.arming, each.side, each.reference) for each in database.firings] == [
        (100, 101, 1, Side.BELOW, None),
        (101, 103, 2, Side.BELOW, None),
    ]
    assert [each.side for each in run([on(Kind.DAY_LOW)], walk(100, 99, 98)).records.values()] == [Side.ABOVE]


def test_an_alert_that_fires_once_is_finished_at_the_first_new_high():
    database = run([on(Kind.DAY_HIGH, repeat=Repeat.ONCE)], walk(100, 101, 103))
    assert (seconds(database), database.states[1]) == ([1], State.FIRED)


def test_highs_in_the_cooldown_fire_nothing_but_count():
    record = on(Kind.DAY_HIGH, cooldown_seconds=3)
    assert seconds(run([record], walk(100, 101, 105, 100, 104, 106))) == [1, 5]


def test_a_daily_alert_fires_at_the_first_new_high_of_each_day():
    record = on(Kind.DAY_HIGH, repeat=Repeat.DAILY)
    updates = [*walk(100, 101, 102), *walk(50, 51, 52, first=MIDNIGHT)]
    assert seconds(run([record], updates)) == [1, MIDNIGHT + 1]


def test_an_expired_alert_ends_at_a_new_high():
    database = run([on(Kind.DAY_HIGH, expires=NOON + 1)], walk(100, 101))
    assert (database.fired, database.states[1]) == ([], State.EXPIRED)


def test_a_late_update_is_a_new_high_of_its_day_only():
    record = on(Kind.DAY_HIGH)
    database = run([record], [*walk(100, 101, 100, 100), update_at(103, 2.5), *walk(102, 104, first=4)])
    assert [(each.price, each.late) for each in database.firings] == [(101, False), (103, True), (104, False)]
    updates = [*walk(100), *walk(90, first=MIDNIGHT), update_at(200, 1), *walk(91, first=MIDNIGHT + 1)]
    assert seconds(run([record], updates)) == [MIDNIGHT + 1]


def test_a_52_week_high_is_above_all_prices_of_364_days_and_of_the_day():
    ranges = {DAY - 365: PriceRange(1, 900), DAY - 364: PriceRange(90, 103), DAY - 1: PriceRange(80, 101)}
    highs, lows = on(Kind.YEAR_HIGH), on(Kind.YEAR_LOW, id=2)
    updates = walk(100, 103, 104, 79, 80, 78, 104)
    database = run([highs, lows], updates, ranges=ranges)
    assert [(each.alert_id, each.price, each.level) for each in database.firings] == [
        (1, 104, 103),
        (2, 79, 80),
        (2, 78, 79),
    ]


def test_the_first_price_of_a_day_can_be_a_52_week_high():
    assert seconds(run([on(Kind.YEAR_HIGH)], walk(100, 101), ranges={DAY - 1: PriceRange(90, 95)})) == [0, 1]
    assert seconds(run([on(Kind.YEAR_HIGH)], walk(100))) == []


def test_the_day_before_counts_even_if_its_bar_is_not_saved_yet():
    updates = [*walk(100, 120), *walk(110, 121, first=MIDNIGHT)]
    assert seconds(run([on(Kind.YEAR_HIGH)], updates)) == [1, MIDNIGHT + 1]


def test_the_last_day_does_not_count_after_52_weeks():
    updates = [*walk(100, 120), update_at(110, MIDNIGHT + 364 * 86_400)]
    database = run([on(Kind.YEAR_HIGH)], updates, ranges={DAY + 300: PriceRange(1, 105)})
    assert seconds(database) == [1, MIDNIGHT + 364 * 86_400]


def test_an_evaluation_that_begins_in_the_middle_of_a_day_takes_the_saved_bar_of_the_day():
    assert seconds(run([on(Kind.DAY_HIGH)], walk(100, 101, 103), ranges={DAY: PriceRange(90, 102)})) == [2]


def test_a_new_source_begins_a_day_of_its_own():
    database = MemoryDatabase([on(Kind.DAY_HIGH)])
    evaluator = database.restart()
    for update, source in zip(walk(100, 300, 301), ["simulated", "kraken", "kraken"], strict=True):
        evaluator.apply(update, source)
    database.write(evaluator)
    assert seconds(database) == [2]


def test_a_new_alert_knows_the_highs_since_its_arming_and_of_the_year():
    database = MemoryDatabase([], ranges={DAY - 1: PriceRange(90, 101.5)})
    evaluator = database.restart()
    for update in walk(100, 101, 100.5, 102, 101):
        evaluator.apply(update, "simulated")
    for kind, number in ((Kind.DAY_HIGH, 1), (Kind.YEAR_HIGH, 2), (Kind.YEAR_HIGH, 3)):
        evaluator.put(on(kind, id=number, since=update_at(100, 0).order))
    fired = [(each.alert_id, each.price, each.level) for each in evaluator.take_changes()[1]]
    assert fired == [(1, 101, 100), (1, 102, 101), (2, 102, 101.5), (3, 102, 101.5)]


def test_a_new_alert_in_its_cooldown_does_not_fire_at_the_highs_since_its_arming():
    evaluator = MemoryDatabase([]).restart()
    for update in walk(100, 101):
        evaluator.apply(update, "simulated")
    evaluator.put(on(Kind.DAY_HIGH, silent_until=NOON + 2_000_000))
    assert not evaluator.has_firings


def test_highs_of_old_updates_are_forgotten():
    evaluator = MemoryDatabase([]).restart()
    for update in [*walk(100, 101), update_at(99, 30)]:
        evaluator.apply(update, "simulated")
    evaluator.take_progress()
    evaluator.put(on(Kind.DAY_HIGH))
    assert not evaluator.has_firings
    evaluator.apply(update_at(101, 31), "simulated")
    evaluator.apply(update_at(102, 32), "simulated")
    assert [each.price for each in evaluator.take_changes()[1]] == [102]


def test_a_late_high_is_part_of_the_progress():
    database = MemoryDatabase([on(Kind.DAY_HIGH)])
    evaluator = database.restart()
    for update in walk(100, 101):
        evaluator.apply(update, "simulated")
    database.write(evaluator)
    evaluator.apply(update_at(105, 0.5), "simulated")
    database.write(evaluator)
    assert database.progress["AAPL"].day_high == 105


def test_a_restarted_evaluation_continues_with_the_highs_of_the_progress():
    database = MemoryDatabase([on(Kind.DAY_HIGH), on(Kind.YEAR_HIGH, id=2)], ranges={DAY - 1: PriceRange(90, 103)})
    first = database.restart()
    for update in walk(100, 102, 101):
        first.apply(update, "simulated")
    database.write(first)
    database.ranges = {}
    second = database.restart()
    for update in walk(101.5, 102.5, 104, first=3):
        second.apply(update, "simulated")
    database.write(second)
    assert [(each.alert_id, each.price) for each in database.firings] == [(1, 102), (1, 102.5), (1, 104), (2, 104)]


@pytest.mark.parametrize(("has_alert", "past"), [(True, PriceRange(50, 60)), (False, None)])
def test_a_progress_without_ranges_is_completed_from_saved_bars(has_alert: bool, past: PriceRange | None):
    ranges = {DAY: PriceRange(90, 102), DAY - 1: PriceRange(50, 60)}
    database = MemoryDatabase([on(Kind.YEAR_HIGH)] if has_alert else [], ranges=ranges)
    evaluator = Evaluator(UTC_EVERYWHERE, database.find_reference, database.find_range)
    for record in database.records.values():
        evaluator.put(record)
    evaluator.restore(Progress("AAPL", 103.0, NOON, 5, "simulated", DAY, None))
    evaluator.apply(update_at(103, 1), "simulated")
    evaluator.apply(update_at(104, 2), "simulated")
    [progress] = evaluator.take_progress()
    assert (progress.day_high, progress.day_low) == (104, 90)
    assert (progress.past_high, progress.past_low) == ((past.high, past.low) if past else (None, None))
    assert [each.price for each in evaluator.take_changes()[1]] == ([104] if has_alert else [])


def test_a_look_up_that_fails_changes_nothing_and_can_be_repeated():
    failures = [OSError("no answer"), OSError("no answer")]

    def find_range(symbol: str, source: str, first: int, last: int) -> PriceRange | None:
        if failures:
            raise failures.pop()
        return PriceRange(90.0, 101.0)

    evaluator = Evaluator(UTC_EVERYWHERE, lambda *_: None, find_range)
    evaluator.put(on(Kind.YEAR_HIGH))
    for _ in range(2):
        with pytest.raises(OSError, match="no answer"):
            evaluator.apply(update_at(105, 0), "simulated")
    evaluator.apply(update_at(105, 0), "simulated")
    assert [each.level for each in evaluator.take_changes()[1]] == [101.0]
