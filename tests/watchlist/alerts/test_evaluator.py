from collections.abc import Sequence

import pytest

from feeds.wire import Update
from tests.support.alerting.evaluation import NOON, MemoryDatabase, alert, run, update_at
from tests.support.recording.bars import DAY_US, UTC_EVERYWHERE
from watchlist.alert_kinds import Kind, Repeat, Side, State
from watchlist.alerts.evaluator import Evaluator
from watchlist.alerts.records import AlertRecord

DAY = NOON // DAY_US + 719_163
"""The market day of NOON, as an ordinal."""


def walk(*prices: float, first: float = 0.0) -> list[Update]:
    """Returns an update of AAPL per second with these prices."""
    return [update_at(price, first + second) for second, price in enumerate(prices)]


def seconds_fired(records: Sequence[AlertRecord], updates: Sequence[Update]) -> list[float]:
    return [(firing.timestamp - NOON) / 1e6 for firing in run(records, updates).firings]


@pytest.mark.parametrize(
    ("kind", "side", "prices", "seconds"),
    [
        (Kind.UP, Side.BELOW, [99, 100, 101], [1]),
        (Kind.UP, Side.BELOW, [99, 99.99, 99], []),
        (Kind.UP, Side.NONE, [101, 102, 99, 100], [3]),
        (Kind.UP, Side.NONE, [100, 100, 99, 103], [3]),
        (Kind.DOWN, Side.ABOVE, [101, 100, 99], [1]),
        (Kind.DOWN, Side.ABOVE, [101, 100.01], []),
        (Kind.DOWN, Side.NONE, [99, 100, 101, 98], [3]),
        (Kind.EITHER, Side.BELOW, [99, 100], [1]),
        (Kind.EITHER, Side.ABOVE, [101, 100], [1]),
        (Kind.EITHER, Side.NONE, [100, 101, 99], [2]),
        (Kind.EITHER, Side.NONE, [100, 99, 101], [2]),
    ],
)
def test_an_alert_fires_at_the_first_price_at_or_beyond_its_level(
    kind: Kind, side: Side, prices: list[float], seconds: list[float]
):
    assert seconds_fired([alert(kind, side=side, arming=0)], walk(*prices)) == seconds


def test_an_alert_fires_after_a_gap_and_needs_no_price_before():
    assert seconds_fired([alert()], walk(150)) == [0]


def test_an_alert_that_fires_once_is_finished():
    database = run([alert()], walk(100, 99, 100))
    assert database.states[1] is State.FIRED
    assert [(each.arming, each.side) for each in database.firings] == [(1, Side.BELOW)]
    assert len(database.restart()) == 0


def test_each_crossing_fires_and_has_its_own_arming():
    database = run([alert(repeat=Repeat.EACH)], walk(100, 101, 99, 100, 100, 99, 98, 105))
    assert [(each.arming, each.price) for each in database.firings] == [(1, 100), (2, 100), (3, 105)]


def test_an_alert_for_either_direction_fires_at_each_crossing():
    record = alert(Kind.EITHER, repeat=Repeat.EACH)
    assert seconds_fired([record], walk(101, 99, 100, 99, 101)) == [0, 1, 2, 4]


def test_a_crossing_in_the_cooldown_fires_nothing_and_the_next_one_after_it_fires():
    record = alert(repeat=Repeat.EACH, cooldown_seconds=5)
    assert seconds_fired([record], walk(100, 99, 100, 99, 99, 99, 100)) == [0, 6]
    assert seconds_fired([record], walk(100, 99, 99, 100, 100, 100, 100, 99, 100)) == [0, 8]


def test_a_daily_alert_fires_once_per_market_day():
    record = alert(repeat=Repeat.DAILY)
    day = DAY_US / 1e6
    updates = [*walk(100, 99, 100, 99), *walk(99, 100, 99, 100, first=day)]
    assert seconds_fired([record], updates) == [0, day + 1]


def test_a_late_update_fires_an_alert_and_arms_none():
    record = alert(repeat=Repeat.EACH)
    late = [update_at(99, 0), update_at(99, 10), update_at(100, 5), update_at(99, 6), update_at(100, 11)]
    database = run([record], late)
    assert [(each.timestamp, each.late) for each in database.firings] == [(NOON + 5_000_000, True)]
    assert database.records[1].side is Side.NONE


def test_a_late_update_is_ignored_if_it_is_not_newer_than_the_arming_or_comes_in_the_cooldown():
    armed_at = update_at(99, 10)
    assert seconds_fired([alert(since=armed_at.order)], [armed_at, update_at(100, 10 - 1)]) == []
    silent = alert(repeat=Repeat.EACH, silent_until=NOON + 20_000_000)
    assert seconds_fired([silent], [update_at(99, 10), update_at(100, 9)]) == []


def test_a_late_update_fires_an_alert_that_fires_once():
    database = run([alert()], [update_at(99, 10), update_at(100, 9)])
    assert database.states[1] is State.FIRED


def test_an_update_at_the_time_of_the_newest_one_with_a_lower_number_is_late():
    database = run([alert()], [update_at(99, 1, 7), update_at(100, 1, 6), update_at(100, 1, 6)])
    assert [each.late for each in database.firings] == [True]


def test_updates_up_to_the_arming_are_ignored_and_the_next_one_counts():
    armed_at = update_at(99, 5, 3)
    record = alert(since=armed_at.order)
    assert seconds_fired([record], [update_at(100, 4), update_at(100, 5, 2), armed_at, update_at(100, 6)]) == [6]
    assert seconds_fired([record], [update_at(100, 4), update_at(100, 6)]) == [6]


def test_a_new_alert_is_evaluated_for_the_kept_updates_after_its_arming():
    evaluator = MemoryDatabase([]).restart()
    for update in [*walk(99, 100, 99, 101, 99), update_at(100, 3.5)]:
        evaluator.apply(update, "simulated")
    evaluator.put(alert(since=update_at(99, 2).order))
    evaluator.put(alert(id=2, repeat=Repeat.EACH, since=update_at(99, 0).order))
    evaluator.put(alert(id=3, since=update_at(99, 4).order))
    assert evaluator.has_firings
    changes, firings = evaluator.take_changes()
    assert [(each.alert_id, each.arming, each.price) for each in firings] == [(1, 1, 101), (2, 1, 100), (2, 2, 101)]
    assert sorted((each.id, each.state, each.side) for each in changes) == [
        (1, State.FIRED, Side.NONE),
        (2, State.ACTIVE, Side.BELOW),
    ]


def test_updates_are_kept_for_ten_seconds():
    evaluator = MemoryDatabase([]).restart()
    for update in [update_at(100, 0), update_at(100, 1), update_at(99, 11)]:
        evaluator.apply(update, "simulated")
    assert [each.timestamp for each in evaluator.take_progress()] == [update_at(99, 11).timestamp]
    assert evaluator.take_progress() == []
    evaluator.put(alert(id=1, since=update_at(99, 0.5).order))
    evaluator.put(alert(id=2, since=(0, 0), value=101))
    assert [each.timestamp for each in evaluator.take_changes()[1]] == [update_at(99, 1).timestamp]


def test_an_expired_alert_does_not_fire():
    record = alert(expires=NOON + 2_000_000)
    assert seconds_fired([record], walk(99, 100)) == [1]
    database = run([record], walk(99, 99, 100))
    assert (database.fired, database.states[1]) == ([], State.EXPIRED)


def test_an_alert_expires_without_an_update():
    database = MemoryDatabase([alert(expires=NOON), alert(id=2, expires=NOON + 1), alert(id=3)])
    evaluator = database.restart()
    evaluator.expire(NOON)
    database.write(evaluator)
    assert database.states == {1: State.EXPIRED, 2: State.ACTIVE, 3: State.ACTIVE}
    assert len(evaluator) == 2


def test_an_alert_that_has_expired_waits_for_updates_that_were_not_evaluated_yet():
    database = MemoryDatabase([alert(expires=NOON + 2_000_000), alert(id=2, symbol="BTC/USD", expires=NOON)])
    evaluator = database.restart()
    for update in (update_at(99, 11), update_at(99, 11.9, symbol="BTC/USD")):
        evaluator.apply(update, "simulated")
    evaluator.expire(NOON + 3_600_000_000, everywhere=False)
    evaluator.apply(update_at(100, 1), "simulated")
    database.write(evaluator)
    assert database.states == {1: State.FIRED, 2: State.EXPIRED}


def test_an_alert_that_is_replaced_or_removed_has_only_its_new_state():
    evaluator = MemoryDatabase([alert(), alert(id=2), alert(Kind.DAY_PERCENT, 5.0, id=3, expires=NOON)]).restart()
    evaluator.put(alert(value=200.0, version=7))
    for alert_id in (2, 3, 4):
        evaluator.remove(alert_id)
    for update in walk(99, 150):
        evaluator.apply(update, "simulated")
    assert evaluator.take_changes() == ([], [])
    assert (evaluator.known_version(1), evaluator.known_version(2), len(evaluator)) == (7, 0, 1)
    evaluator.apply(update_at(200, 5), "simulated")
    assert [each.alert_id for each in evaluator.take_changes()[1]] == [1]


def test_an_alert_that_waits_for_its_update_can_be_replaced_and_removed():
    evaluator = MemoryDatabase([]).restart()
    waiting = alert(since=update_at(99, 5).order)
    evaluator.put(waiting)
    evaluator.put(waiting)
    evaluator.put(alert(id=2, since=update_at(99, 5).order))
    evaluator.remove(2)
    for update in walk(100, 100, 99, first=4.5):
        evaluator.apply(update, "simulated")
    assert [each.alert_id for each in evaluator.take_changes()[1]] == [1]
    evaluator.apply(update_at(101, 20), "simulated")
    assert evaluator.take_changes() == ([], [])


def test_alerts_of_other_symbols_are_not_touched():
    record = alert(symbol="MSFT")
    updates = [*walk(99, 100), update_at(100, 3, symbol="MSFT")]
    database = run([record], updates)
    assert database.fired == [(1, updates[-1].timestamp, updates[-1].seq_id)]


def percent(value: float, **fields: object) -> AlertRecord:
    return alert(Kind.DAY_PERCENT, value, side=Side.BELOW if value > 0 else Side.ABOVE, **fields)


def with_reference(records: list[AlertRecord], reference: float, first: Update) -> tuple[MemoryDatabase, Evaluator]:
    """Returns an evaluation that has seen the update `first`. The day of `first` has this reference price."""
    database = MemoryDatabase(records, {("simulated", DAY): reference})
    evaluator = database.restart()
    evaluator.apply(first, "simulated")
    return database, evaluator


def test_a_percent_is_a_level_above_or_below_the_reference_price():
    database, evaluator = with_reference([percent(5.0), percent(-5.0, id=2)], 200.0, update_at(200, 0))
    for update in walk(209.9, 210, 200, 190.1, 190, first=1):
        evaluator.apply(update, "simulated")
    database.write(evaluator)
    assert [(each.alert_id, each.price, each.level, each.reference) for each in database.firings] == [
        (1, 210, 210, 200.0),
        (2, 190, 190, 200.0),
    ]


def test_the_first_update_of_a_symbol_can_fire_a_percent():
    database, evaluator = with_reference([percent(5.0)], 200.0, update_at(210, 0))
    database.write(evaluator)
    assert database.fired == [(1, *update_at(210, 0).order)]


def test_a_percent_without_a_reference_price_does_not_fire():
    database = run([percent(5.0)], [*walk(100, 1000), update_at(1000, DAY_US / 1e6 * 3)])
    assert database.fired == []
    assert database.asked == [("AAPL", "simulated", DAY), ("AAPL", "simulated", DAY + 3)]


def test_a_new_percent_looks_up_the_reference_price_of_a_symbol_that_had_none():
    database = MemoryDatabase([])
    evaluator = database.restart()
    for update in walk(100, 106):
        evaluator.apply(update, "simulated")
    evaluator.put(percent(8.0, id=3))
    database.references["simulated", DAY] = 100.0
    evaluator.put(percent(5.0))
    evaluator.put(percent(7.0, id=2))
    assert len(database.asked) == 3
    assert [each.alert_id for each in evaluator.take_changes()[1]] == [1]
    evaluator.apply(update_at(108, 3), "simulated")
    assert sorted(each.alert_id for each in evaluator.take_changes()[1]) == [2, 3]


def test_a_look_up_that_fails_changes_nothing_and_can_be_repeated():
    database = MemoryDatabase([percent(5.0)], {("simulated", DAY): 100.0})
    failures = [OSError("no answer"), OSError("no answer")]

    def find_reference(symbol: str, source: str, day: int) -> float | None:
        if failures:
            raise failures.pop()
        return database.find_reference(symbol, source, day)

    evaluator = Evaluator(UTC_EVERYWHERE, find_reference)
    evaluator.put(percent(5.0))
    for _ in range(2):
        with pytest.raises(OSError, match="no answer"):
            evaluator.apply(update_at(105, 0), "simulated")
    evaluator.apply(update_at(105, 0), "simulated")
    assert [each.price for each in evaluator.take_changes()[1]] == [105]


def test_a_new_day_moves_the_level_of_a_percent_and_passes_it_silently():
    records = [percent(5.0, repeat=Repeat.EACH), percent(10.0, id=2), percent(-5.0, id=3, repeat=Repeat.EACH)]
    database, evaluator = with_reference(records, 100.0, update_at(100, 0))
    midnight = DAY_US / 2e6
    for update in [*walk(106, 107, first=1), *walk(120, 114, first=midnight)]:
        evaluator.apply(update, "simulated")
    # The reference price is 107 now: the levels are 112.35, 117.7 and 101.65.
    assert [(each.alert_id, each.price) for each in evaluator._states.firings] == [(1, 106)]
    for update in walk(118, 112, 113, 101, first=midnight + 2):
        evaluator.apply(update, "simulated")
    database.write(evaluator)
    assert [(each.alert_id, each.price, each.reference) for each in database.firings] == [
        (1, 106, 100.0),
        (2, 118, 107),
        (1, 113, 107),
        (3, 101, 107),
    ]


def test_a_late_update_of_the_day_before_fires_no_percent():
    database, evaluator = with_reference([percent(5.0)], 100.0, update_at(100, 0))
    midnight = DAY_US / 2e6
    for update in [update_at(100, midnight), update_at(106, midnight - 1), update_at(106, midnight - 0.5)]:
        evaluator.apply(update, "simulated")
    database.write(evaluator)
    assert database.fired == []
    for update in [update_at(100, midnight + 5), update_at(106, midnight + 4)]:
        evaluator.apply(update, "simulated")
    database.write(evaluator)
    assert [each.late for each in database.firings] == [True]


def test_an_alert_that_waits_for_its_update_keeps_waiting_over_midnight():
    midnight = DAY_US / 2e6
    waiting = percent(5.0, since=update_at(100, midnight + 3).order)
    database, evaluator = with_reference([waiting], 100.0, update_at(100, 0))
    for update in walk(100, 106, 106, 100, 106, first=midnight):
        evaluator.apply(update, "simulated")
    database.write(evaluator)
    assert database.fired == [(1, *update_at(106, midnight + 4).order)]


def test_another_source_of_a_symbol_has_another_reference_price():
    database, evaluator = with_reference([percent(5.0)], 100.0, update_at(100, 0))
    database.references["kraken", DAY] = 280.0
    for update in [update_at(300, 1), update_at(293, 2), update_at(294, 3)]:
        evaluator.apply(update, "kraken")
    assert [(each.source, each.price, each.reference) for each in evaluator.take_changes()[1]] == [
        ("kraken", 294, 280.0)
    ]


def test_an_evaluation_continues_from_the_progress_of_another_one():
    database, first = with_reference([percent(5.0, repeat=Repeat.EACH), alert(id=2)], 80.0, update_at(80, 0))
    database.write(first)
    second = database.restart()
    for update in walk(84, 79, first=1):
        second.apply(update, "simulated")
    database.write(second)
    for progress in database.progress.values():
        first.restore(progress)
        first.restore(progress)
    first.put(database.records[1])
    for update in walk(84, 79, 84, 100, first=1):
        first.apply(update, "simulated")
    database.write(first)
    assert database.fired == [(1, *update_at(84, 1).order), (1, *update_at(84, 3).order), (2, *update_at(100, 4).order)]


def test_restored_progress_releases_alerts_that_waited_for_its_updates():
    database, first = with_reference([alert(value=200.0)], 80.0, update_at(80, 5))
    database.write(first)
    second = Evaluator(UTC_EVERYWHERE, database.find_reference)
    second.put(alert(since=update_at(99, 4).order))
    second.put(percent(50.0, id=2, since=update_at(99, 5).order))
    second.restore(database.progress["AAPL"])
    second.apply(update_at(120, 6), "simulated")
    assert sorted(each.alert_id for each in second.take_changes()[1]) == [1, 2]


def test_counts_and_size_follow_the_alerts():
    evaluator = MemoryDatabase([alert(id=number) for number in range(1, 101)]).restart()
    assert evaluator.count_by_source() == {"": 100}
    assert evaluator.size <= 100 * 100
    evaluator.apply(update_at(100, 0), "kraken")
    assert evaluator.count_by_source() == {"kraken": 0}
