"""Compares evaluations of random updates with the plainest computation."""

from hypothesis import given
from hypothesis import strategies as st

from feeds.wire import Update
from tests.support.alerting.evaluation import (
    NOON,
    MemoryDatabase,
    alert,
    expected_firings,
    expected_percent_firings,
    run,
)
from tests.support.alerting.walks import SECOND_US, SYMBOLS, run_with_kills, walks
from tests.support.recording.bars import DAY_US, FIRST_DAY
from watchlist.alert_kinds import Kind, Repeat, Side
from watchlist.alerts.records import AlertRecord


@st.composite
def records(draw: st.DrawFn, number: int) -> AlertRecord:
    kind = draw(st.sampled_from([Kind.UP, Kind.DOWN, Kind.EITHER]))
    sides = {Kind.UP: [Side.BELOW, Side.NONE], Kind.DOWN: [Side.ABOVE, Side.NONE], Kind.EITHER: list(Side)}[kind]
    return alert(
        kind,
        float(draw(st.integers(95, 105))),
        id=number,
        symbol=draw(st.sampled_from(SYMBOLS)),
        repeat=draw(st.sampled_from(list(Repeat))),
        cooldown_seconds=draw(st.sampled_from([0, 3600, 7200])),
        expires=draw(st.sampled_from([0, NOON + 10 * 3600 * SECOND_US])),
        side=draw(st.sampled_from(sides)),
        since=draw(st.sampled_from([(0, 0), (NOON + 3600 * SECOND_US, 2)])),
    )


alerts = st.integers(1, 5).flatmap(lambda count: st.tuples(*(records(number + 1) for number in range(count))))


def expected(alerts_: tuple[AlertRecord, ...], topic: list[Update]) -> list[tuple[int, int, int]]:
    return sorted(
        fired
        for record in alerts_
        for fired in expected_firings(record, [update for update in topic if update.symbol == record.symbol])
    )


@given(alerts, walks())
def test_level_alerts_fire_exactly_where_the_plain_computation_says(
    alerts_: tuple[AlertRecord, ...], topic: list[Update]
):
    assert sorted(run(alerts_, topic).fired) == expected(alerts_, topic)


percents = st.builds(
    lambda value, repeat, is_armed: alert(
        Kind.DAY_PERCENT,
        float(value),
        repeat=repeat,
        cooldown_seconds=7200,
        side=(Side.BELOW if value > 0 else Side.ABOVE) if is_armed else Side.NONE,
    ),
    st.sampled_from([-5, -3, -1, 1, 3, 5]),
    st.sampled_from(list(Repeat)),
    st.booleans(),
)


days = st.lists(st.tuples(st.integers(1, 30), st.integers(90, 110)), max_size=40)
"""Steps of a walk over several days: hours since the step before, and a price."""

REFERENCES = {day: 90.0 + day % 20 for day in range(NOON // DAY_US, NOON // DAY_US + 60)}
"""The reference prices that are looked up, by day since 1970."""

LOOKED_UP = {("simulated", day + FIRST_DAY): price for day, price in REFERENCES.items()}


def make_topic(steps: list[tuple[int, int]]) -> list[Update]:
    hour, topic = 0, []
    for hours, price in steps:
        hour += hours
        topic.append(Update("AAPL", float(price), NOON + hour * 3600 * SECOND_US, 1))
    return topic


@given(percents, days)
def test_percentages_fire_exactly_where_the_plain_computation_says(record: AlertRecord, steps: list[tuple[int, int]]):
    topic = make_topic(steps)
    assert run([record], topic, LOOKED_UP).fired == expected_percent_firings(record, topic, REFERENCES)


@given(alerts, walks(), st.data())
def test_evaluations_that_are_killed_and_read_again_fire_the_same_and_each_arming_once(
    alerts_: tuple[AlertRecord, ...], topic: list[Update], data: st.DataObject
):
    database = MemoryDatabase(alerts_)
    run_with_kills(database, topic, data)
    assert sorted(database.fired) == expected(alerts_, topic)


@given(percents, days, st.data())
def test_percentages_fire_the_same_if_evaluations_are_killed(
    record: AlertRecord, steps: list[tuple[int, int]], data: st.DataObject
):
    database, topic = MemoryDatabase([record], LOOKED_UP), make_topic(steps)
    run_with_kills(database, topic, data)
    assert database.fired == expected_percent_firings(record, topic, REFERENCES)
