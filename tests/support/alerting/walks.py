"""Draws random topics of updates, and evaluates topics with evaluations that are killed."""

from hypothesis import strategies as st

from feeds.wire import Update
from tests.support.alerting.evaluation import NOON, MemoryDatabase

SECOND_US = 1_000_000
SYMBOLS = ("AAPL", "BTC/USD")

updates = st.builds(
    lambda symbol, price, half_hour, seq_id: Update(symbol, float(price), NOON + half_hour * 1800 * SECOND_US, seq_id),
    st.sampled_from(SYMBOLS),
    st.integers(95, 105),
    st.integers(0, 60),
    st.integers(1, 3),
)


@st.composite
def walks(draw: st.DrawFn) -> list[Update]:
    """A topic of 40 updates: mostly in the order of time, some late, some repeated."""
    found = draw(st.lists(updates, max_size=40))
    ordered = sorted(found, key=lambda update: update.timestamp)
    for _ in range(draw(st.integers(0, 5)) if ordered else 0):
        moved = ordered.pop(draw(st.integers(0, len(ordered) - 1)))
        ordered.insert(draw(st.integers(0, len(ordered))), moved)
        ordered.insert(draw(st.integers(0, len(ordered))), draw(st.sampled_from(ordered)))
    return ordered


def run_with_kills(database: MemoryDatabase, topic: list[Update], data: st.DataObject) -> None:
    """Evaluates the topic by evaluations that are killed. Each continues at a place that was read before."""
    written = 0
    while written < len(topic):
        evaluator = database.restart()
        begin = data.draw(st.integers(0, written), "offset")
        end = data.draw(st.integers(begin, len(topic)), "killed at")
        for number, update in enumerate(topic[begin:end], begin + 1):
            evaluator.apply(update, "simulated")
            database.record(update)
            if data.draw(st.booleans(), "write") or number == len(topic):
                database.write(evaluator)
                written = max(written, number)
    armings = [(firing.alert_id, firing.arming) for firing in database.firings]
    assert len(armings) == len(set(armings))
