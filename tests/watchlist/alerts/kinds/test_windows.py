from collections.abc import Sequence

import pytest

from feeds.wire import Update
from tests.support.alerting.evaluation import NOON, MemoryDatabase, alert, run, update_at
from tests.support.recording.bars import DAY_US, UTC_EVERYWHERE
from watchlist.alert_kinds import Kind, Repeat, Side
from watchlist.alerts.evaluator import Evaluator
from watchlist.alerts.kinds.windows import MINUTE_US, SECOND_US, Trail
from watchlist.alerts.records import AlertRecord, Close


def within(percent: float, minutes: int, **fields: object) -> AlertRecord:
    side = Side.BELOW if percent > 0 else Side.ABOVE
    defaults = {"repeat": Repeat.EACH, "side": side, "window_seconds": 60 * minutes}
    return alert(Kind.WINDOW_PERCENT, percent, **(defaults | fields))


def at(*steps: tuple[float, float]) -> list[Update]:
    """Returns updates of AAPL; a step is a time in seconds and a price."""
    return [update_at(price, second) for second, price in steps]


def seconds(database: MemoryDatabase) -> list[float]:
    return [(firing.timestamp - NOON) / 1e6 for firing in database.firings]


def test_a_change_is_relative_to_the_last_price_before_the_window():
    database = run([within(5.0, 1)], at((0, 90), (0.9, 100), (61, 104.9), (61.9, 105)))
    assert [(each.price, each.level, each.reference) for each in database.firings] == [(105, 105, 100)]
    assert seconds(run([within(-5.0, 1)], at((0, 100), (61, 95)))) == [61]


@pytest.mark.parametrize(
    ("minutes", "second", "fires"),
    [(1, 60.9, False), (1, 61, True), (9, 540.9, False), (9, 541, True), (10, 659, False), (10, 660, True)],
)
def test_the_window_begins_with_a_bar_of_a_second_or_from_ten_minutes_on_of_a_minute(
    minutes: int, second: float, fires: bool
):
    assert seconds(run([within(5.0, minutes)], at((0.5, 100), (second, 105)))) == [second] * fires


def test_an_alert_is_armed_again_when_the_change_is_smaller_because_the_base_has_moved():
    walk = at((0, 100), (30, 105), (61, 105), (62, 106), (91, 106), (92, 106), (125, 112), (126, 111.4))
    database = run([within(5.0, 1)], walk)
    assert [(each.timestamp - NOON) // SECOND_US for each in database.firings] == [61, 125]
    assert database.firings[1].reference == 106


def test_an_alert_for_a_fall_is_armed_again_by_a_price_above_its_level():
    assert seconds(run([within(-5.0, 1)], at((0, 100), (61, 95), (61.1, 94), (61.2, 96), (61.3, 95)))) == [61, 61.3]


def test_a_long_time_without_updates_keeps_the_last_price_as_base():
    assert seconds(run([within(5.0, 1)], at((0, 100), (1, 100), (100_000, 105), (100_000.5, 99)))) == [100_000]


def test_a_late_update_is_evaluated_and_belongs_to_its_own_bar():
    walk = [*at((0, 100), (65, 100)), *at((64, 105), (64.5, 106))]
    assert [(each.price, each.late) for each in run([within(5.0, 1)], walk).firings] == [(105, True)]
    walk = [*at((0, 100), (5, 100)), *at((1, 110), (62, 112), (65.5, 115.5))]
    assert seconds(run([within(5.0, 1)], walk)) == [65.5]


def test_an_update_that_is_too_late_counts_for_nothing():
    assert seconds(run([within(5.0, 1)], [*at((0, 100), (75, 100)), *at((64.9, 106))])) == []
    assert seconds(run([within(5.0, 1)], [*at((0, 100), (11, 100)), *at((0.9, 50), (61.5, 60))])) == []


def test_a_new_source_begins_without_prices():
    database = MemoryDatabase([within(5.0, 1)])
    evaluator = database.restart()
    for update, source in zip(at((0, 100), (61, 200), (122, 210)), ["simulated", "kraken", "kraken"], strict=True):
        evaluator.apply(update, source)
    assert [each.price for each in evaluator.take_changes()[1]] == [210]


def test_windows_survive_the_end_of_the_day():
    midnight = DAY_US / 2e6
    assert seconds(run([within(5.0, 1)], at((midnight - 30, 100), (midnight + 31, 105)))) == [midnight + 31]


def test_new_alerts_know_the_recorded_prices_and_the_newest_updates():
    database = MemoryDatabase([])
    evaluator = database.restart()
    for update in at((100, 100), (161, 105)):
        evaluator.apply(update, "simulated")
    database.recorded = at((99, 100))
    for number, minutes in ((1, 1), (2, 1), (3, 2)):
        evaluator.put(within(5.0, minutes, id=number, since=update_at(1, 100).order))
    assert [each.alert_id for each in evaluator.take_changes()[1]] == [1, 2]
    evaluator.apply(update_at(105, 221), "simulated")
    assert [each.alert_id for each in evaluator.take_changes()[1]] == [3]


def test_progress_of_another_evaluation_brings_the_recorded_prices_of_its_source():
    database = MemoryDatabase([])
    first = database.restart()
    for update in at((0, 50), (60, 50)):
        first.apply(update, "kraken")
    database.write(first)
    second = Evaluator(UTC_EVERYWHERE, database.find_reference, database.find_range, database.find_closes)
    second.put(within(5.0, 1))
    second.apply(update_at(100, 0), "simulated")
    database.recorded = at((0, 50), (60, 50))
    second.restore(database.progress["AAPL"])
    second.apply(update_at(52.5, 61), "kraken")
    assert [each.reference for each in second.take_changes()[1]] == [50]


def test_a_look_up_that_fails_changes_nothing_and_can_be_repeated():
    failures = [OSError("no answer")]

    def find_closes(symbol: str, source: str, until: int) -> Sequence[Close]:
        if failures:
            raise failures.pop()
        return [(NOON, 1, 100.0)]

    evaluator = Evaluator(UTC_EVERYWHERE, lambda *_: None, find_closes=find_closes)
    evaluator.apply(update_at(100, 60), "simulated")
    with pytest.raises(OSError, match="no answer"):
        evaluator.put(within(5.0, 1))
    evaluator.put(within(5.0, 1))
    evaluator.apply(update_at(105, 61), "simulated")
    assert evaluator.has_firings


def test_a_trail_keeps_the_newest_update_of_each_bar_and_one_bar_before_the_kept_time():
    trail = Trail(SECOND_US, MINUTE_US)
    for close in [(5_200_000, 2, 1.0), (5_100_000, 9, 2.0), (5_200_000, 1, 3.0), (5_200_000, 3, 4.0)]:
        trail.add(close)
    trail.add((2_000_000, 1, 5.0))
    trail.add((9_000_000, 1, 6.0))
    assert [trail.price_before(second * SECOND_US) for second in (2, 3, 5, 6, 9, 10)] == [None, 5.0, 5.0, 4.0, 4.0, 6.0]
    trail.drop_old(100 * SECOND_US)
    assert len(trail) == 1
    assert trail.price_before(10 * SECOND_US) == 6.0


def test_windows_count_in_the_size_of_the_index():
    evaluator = MemoryDatabase([within(5.0, 1, id=number) for number in range(1, 101)]).restart()
    assert 100 * (69 + 12) <= evaluator.size <= 100 * 100


def test_a_new_source_begins_with_its_recorded_prices():
    database = MemoryDatabase([within(5.0, 1)])
    evaluator = database.restart()
    evaluator.apply(update_at(100, 0), "simulated")
    database.recorded = at((0.5, 190))
    evaluator.apply(update_at(199.5, 61.5), "kraken")
    assert [each.reference for each in evaluator.take_changes()[1]] == [190]
