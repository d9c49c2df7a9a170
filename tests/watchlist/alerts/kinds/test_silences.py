from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.source_names import SIMULATED
from feeds.wire import Update
from tests.support.alerting.evaluation import NOON, MemoryDatabase, alert, next_time, update_at
from watchlist.alert_kinds import Kind, Repeat, Side, State
from watchlist.alerts.evaluator import Evaluator
from watchlist.alerts.records import AlertRecord

MINUTE = 60_000_000
SEEN = {"AAPL": 0}


def silence(minutes: int = 5, **fields: object) -> AlertRecord:
    return alert(Kind.NO_PRICE, 0.0, **{"window_seconds": minutes * 60, "repeat": Repeat.EACH, **fields})


def check(evaluator: Evaluator, second: float, seen: Mapping[str, int] = SEEN) -> int:
    """Checks for missing prices at this second after NOON. Returns the number of firings since the last call."""
    evaluator.fire_silent(NOON + int(second * 1_000_000), seen)
    return len(evaluator.take_changes()[1])


def evaluate(record: AlertRecord, *seconds: float) -> Evaluator:
    evaluator = MemoryDatabase([record]).restart()
    for second in seconds:
        evaluator.apply(update_at(100, second), "simulated")
    return evaluator


def test_an_alert_fires_once_for_each_last_update():
    evaluator = evaluate(silence(), 0)
    assert [check(evaluator, second) for second in (299.9, 300, 301, 900)] == [0, 1, 0, 0]
    evaluator.apply(update_at(101, 1000), "simulated")
    assert [check(evaluator, second) for second in (1299, 1300, 1400)] == [0, 1, 0]


def test_a_firing_carries_the_last_update():
    database = MemoryDatabase([silence()])
    evaluator = database.restart()
    for second in (0, 10):
        evaluator.apply(update_at(100 + second, second), "kraken")
    assert evaluator.find_silent() == {"AAPL": "kraken"}
    evaluator.fire_silent(NOON + 6 * MINUTE, SEEN)
    database.write(evaluator)
    [firing] = database.firings
    assert (firing.price, firing.timestamp, firing.source, firing.level) == (110, NOON + 10_000_000, "kraken", None)
    assert (firing.arming, firing.side, database.records[1].side) == (1, Side.BELOW, Side.NONE)
    again = database.restart()
    assert check(again, 1000) == 0
    again.apply(update_at(100, 1000), "kraken")
    assert check(again, 1300) == 1


def test_an_alert_that_fires_once_is_finished():
    database = MemoryDatabase([silence(repeat=Repeat.ONCE)])
    evaluator = database.restart()
    evaluator.apply(update_at(100, 0), "simulated")
    evaluator.fire_silent(NOON + 5 * MINUTE, SEEN)
    database.write(evaluator)
    assert (database.states[1], len(evaluator), evaluator.find_silent()) == (State.FIRED, 0, {})


def test_the_time_counts_only_while_updates_would_arrive():
    evaluator = evaluate(silence(), 0)
    assert check(evaluator, 1000, {}) == 0
    assert check(evaluator, 1299, {"AAPL": NOON + 1000 * 1_000_000}) == 0
    assert check(evaluator, 1300, {"AAPL": NOON + 1000 * 1_000_000}) == 1


def test_a_last_update_in_the_cooldown_causes_no_firing():
    evaluator = evaluate(silence(cooldown_seconds=600), 0)
    assert check(evaluator, 300) == 1
    evaluator.apply(update_at(100, 599), "simulated")
    assert check(evaluator, 2000) == 0
    evaluator.apply(update_at(100, 2000), "simulated")
    assert check(evaluator, 2300) == 1


@pytest.mark.parametrize(("expires", "count"), [(300, 0), (301, 1)])
def test_the_time_must_be_over_before_the_alert_expires(expires: int, count: int):
    assert check(evaluate(silence(expires=NOON + expires * 1_000_000), 0), 320) == count


def test_an_alert_waits_for_the_update_at_which_it_was_armed():
    evaluator = evaluate(silence(since=update_at(100, 10).order), 0)
    assert check(evaluator, 400) == 0
    evaluator.apply(update_at(100, 11), "simulated")
    assert [check(evaluator, second) for second in (310.9, 311)] == [0, 1]


def test_a_new_alert_is_not_fired_by_the_updates_since_its_arming():
    evaluator = evaluate(silence(), 0, 1, 2)
    evaluator.put(silence(id=2, since=update_at(100, 0).order))
    assert [check(evaluator, second) for second in (301, 302)] == [0, 2]


@pytest.mark.parametrize(("second", "source", "count"), [(299, SIMULATED, 0), (300, SIMULATED, 1), (300, "kraken", 0)])
def test_a_simulated_update_ends_a_silence_that_no_check_has_seen(second: int, source: str, count: int):
    evaluator = MemoryDatabase([silence(repeat=Repeat.ONCE)]).restart()
    evaluator.apply(update_at(100, 0), source)
    evaluator.apply(update_at(101, second), source)
    assert [firing.timestamp for firing in evaluator.take_changes()[1]] == [NOON] * count
    assert len(evaluator) == 1 - count


@pytest.mark.parametrize(("source", "known"), [(SIMULATED, 1), ("kraken", 0)])
def test_an_expired_alert_waits_for_the_firing_of_an_earlier_silence(source: str, known: int):
    """The engine was away, and has not seen yet that the symbol was silent for the time of the alert."""
    evaluator = MemoryDatabase([silence(expires=NOON + 301_000_000)]).restart()
    evaluator.apply(update_at(100, 0), source)
    evaluator.expire(NOON + 400_000_000)
    assert len(evaluator) == known
    assert check(evaluator, 400) == known
    evaluator.expire(NOON + 400_000_000)
    assert len(evaluator) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=40), st.sampled_from(list(Repeat)), st.data())
def test_missing_prices_fire_exactly_where_the_plain_computation_says(
    steps: list[tuple[bool, int]], repeat: Repeat, data: st.DataObject
):
    """A step is an update or a check, with the seconds since the step before. The evaluation may be killed after it."""
    record = silence(2, repeat=repeat, cooldown_seconds=300)
    database, second, last, fired, silent_until = MemoryDatabase([record]), 0, None, [], 0
    evaluator = database.restart()
    for is_update, seconds in steps:
        second += seconds
        # An update ends a silence that no check has seen.
        if _is_missing(last, second, fired, silent_until) and not (fired and repeat is Repeat.ONCE):
            fired.append(last)
            silent_until = next_time(record, last)
        if is_update:
            update = update_at(100, second, second + 1)
            last = update if last is None or update.order > last.order else last
            evaluator.apply(update, "simulated")
        else:
            evaluator.fire_silent(NOON + second * 1_000_000, dict.fromkeys(evaluator.find_silent(), 0))
        database.write(evaluator)
        if data.draw(st.booleans(), "killed"):
            evaluator = database.restart()
    assert database.fired == [(1, *update.order) for update in fired]


def _is_missing(last: Update | None, second: int, fired: list[Update], silent_until: int) -> bool:
    if last is None or last in fired or last.timestamp < silent_until:
        return False
    return NOON + second * 1_000_000 - last.timestamp >= 2 * MINUTE
