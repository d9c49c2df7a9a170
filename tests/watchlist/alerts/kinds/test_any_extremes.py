"""Compares alerts on new highs and lows of random updates with the plainest computation."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from feeds.wire import Update
from tests.support.alerting.evaluation import (
    NOON,
    MemoryDatabase,
    alert,
    expected_extreme_firings,
    expected_firings,
    run,
    update_at,
)
from tests.support.alerting.walks import SECOND_US, run_with_kills, walks
from tests.support.recording.bars import UTC_DAYS
from watchlist.alert_kinds import Kind, Repeat, Side
from watchlist.alerts.conditions import EXTREME_KINDS
from watchlist.alerts.records import AlertRecord
from watchlist.prices.day import PriceRange

DAY = UTC_DAYS.day_at(NOON)

records = st.builds(
    lambda kind, repeat, cooldown, expires, since: alert(
        kind, 0.0, repeat=repeat, cooldown_seconds=cooldown, expires=expires, since=since
    ),
    st.sampled_from(EXTREME_KINDS),
    st.sampled_from(list(Repeat)),
    st.sampled_from([0, 3600, 7200]),
    st.sampled_from([0, NOON + 10 * 3600 * SECOND_US]),
    st.sampled_from([(0, 0), (NOON + 3600 * SECOND_US, 2)]),
)
ranges = st.dictionaries(
    st.sampled_from([DAY - 365, DAY - 364, DAY - 1]),
    st.builds(lambda low, size: PriceRange(float(low), float(low + size)), st.integers(93, 103), st.integers(0, 6)),
)


def of_apple(topic: list[Update]) -> list[Update]:
    return [update for update in topic if update.symbol == "AAPL"]


@given(records, walks(), ranges)
def test_new_highs_and_lows_fire_exactly_where_the_plain_computation_says(
    record: AlertRecord, topic: list[Update], saved: Mapping[int, PriceRange]
):
    assert run([record], topic, ranges=saved).fired == expected_extreme_firings(record, of_apple(topic), saved)


@given(records, walks(), ranges, st.data())
def test_new_highs_and_lows_fire_the_same_if_evaluations_are_killed(
    record: AlertRecord, topic: list[Update], saved: Mapping[int, PriceRange], data: st.DataObject
):
    database = MemoryDatabase([record], ranges=saved)
    run_with_kills(database, topic, data)
    assert database.fired == expected_extreme_firings(record, of_apple(topic), saved)


seconds = st.lists(st.tuples(st.integers(0, 9), st.integers(95, 105)), min_size=1, max_size=30)


@given(seconds, st.sampled_from([Kind.UP, Kind.DOWN, *EXTREME_KINDS]), st.sampled_from(list(Repeat)), st.data())
def test_a_new_alert_fires_at_the_updates_since_its_arming_whenever_the_evaluation_gets_it(
    steps: list[tuple[int, int]], kind: Kind, repeat: Repeat, data: st.DataObject
):
    topic = [update_at(float(price), second, number) for number, (second, price) in enumerate(steps, 1)]
    armed_at = data.draw(st.sampled_from(topic), "armed at")
    got_at = data.draw(st.integers(0, len(topic)), "got at")
    side = Side.BELOW if kind in (Kind.UP, Kind.DAY_HIGH, Kind.YEAR_HIGH) else Side.ABOVE
    record = alert(kind, 100.0, side=side, since=armed_at.order, repeat=repeat)
    database = MemoryDatabase([])
    evaluator = database.restart()
    for update in topic[:got_at]:
        evaluator.apply(update, "simulated")
    evaluator.put(record)
    for update in topic[got_at:]:
        evaluator.apply(update, "simulated")
    fired = [(each.alert_id, each.timestamp, each.seq_id) for each in evaluator.take_changes()[1]]
    compute = expected_extreme_firings if kind in EXTREME_KINDS else expected_firings
    assert fired == compute(record, topic)
