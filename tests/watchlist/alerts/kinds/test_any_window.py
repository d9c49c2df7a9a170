"""Compares alerts on changes within a window with the plainest computation, for random updates."""

from functools import partial

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from feeds.wire import Update
from tests.support.alerting.evaluation import (
    NOON,
    Fired,
    MemoryDatabase,
    alert,
    expected_firings,
    run,
    update_at,
    window_level,
)
from tests.support.alerting.walks import SECOND_US, run_with_kills
from watchlist.alert_kinds import Kind, Repeat, Side
from watchlist.alerts.records import AlertRecord

records = st.builds(
    lambda percent, minutes, repeat, cooldown, expires, is_armed: alert(
        Kind.WINDOW_PERCENT,
        float(percent),
        window_seconds=minutes * 60,
        repeat=repeat,
        cooldown_seconds=cooldown,
        expires=expires,
        side=(Side.BELOW if percent > 0 else Side.ABOVE) if is_armed else Side.NONE,
    ),
    st.sampled_from([-5, -2, 2, 5]),
    st.sampled_from([1, 2, 9, 10, 12]),
    st.sampled_from(list(Repeat)),
    st.sampled_from([0, 60, 600]),
    st.sampled_from([0, NOON + 1800 * SECOND_US]),
    st.booleans(),
)


@st.composite
def topics(draw: st.DrawFn) -> list[Update]:
    """Updates seconds to minutes apart. Some are late by some seconds, some by more, some are repeated."""
    steps = draw(st.lists(st.tuples(st.sampled_from([0.4, 1, 17, 60, 130, 600]), st.integers(95, 105)), max_size=40))
    second, topic = 0.0, []
    for number, (seconds, price) in enumerate(steps, 1):
        second += seconds
        topic.append(update_at(float(price), second, number))
    for _ in range(draw(st.integers(0, 6)) if topic else 0):
        place = draw(st.integers(0, len(topic) - 1))
        behind = draw(st.sampled_from([0.0, 0.5, 5, 9, 10, 30]))
        second = (topic[place].timestamp - NOON) / SECOND_US - behind
        seq_id = topic[place].seq_id if behind == 0 else 10**6 + place
        topic.insert(place + 1, update_at(topic[place].price if behind == 0 else 100.0 + place, second, seq_id))
    return topic


def expected(record: AlertRecord, topic: list[Update]) -> list[Fired]:
    return expected_firings(record, topic, partial(window_level, record))


@given(records, topics())
def test_changes_in_a_window_fire_exactly_where_the_plain_computation_says(record: AlertRecord, topic: list[Update]):
    assert run([record], topic).fired == expected(record, topic)


@given(records, topics(), st.data())
def test_changes_in_a_window_fire_the_same_if_evaluations_are_killed(
    record: AlertRecord, topic: list[Update], data: st.DataObject
):
    database = MemoryDatabase([record])
    run_with_kills(database, topic, data)
    assert database.fired == expected(record, topic)


@given(st.lists(records, min_size=2, max_size=8), topics(), st.data())
def test_alerts_that_come_at_any_time_fire_as_if_they_had_been_there(
    records_: list[AlertRecord], topic: list[Update], data: st.DataObject
):
    database = MemoryDatabase([])
    evaluator, want = database.restart(), []
    later = {data.draw(st.integers(0, len(topic))): record for record in records_}
    for number, update in enumerate([*topic, None]):
        if number in later:
            since = max((each.order for each in topic[:number]), default=(0, 0))
            record = msgspec.structs.replace(later[number], id=number, since=since)
            evaluator.put(record)
            want += expected(record, topic)
        if update is not None:
            evaluator.apply(update, "simulated")
            database.record(update)
    fired = [(each.alert_id, each.timestamp, each.seq_id) for each in evaluator.take_changes()[1]]
    assert sorted(fired) == sorted(want)
