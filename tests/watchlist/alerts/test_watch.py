from collections.abc import Sequence
from random import Random

from feeds.source_names import SIMULATED
from tests.support.alerting.evaluation import MemoryDatabase, alert, update_at
from watchlist.alert_kinds import Repeat, Side
from watchlist.alerts.evaluator import Evaluator
from watchlist.alerts.id_slots import NOT_FOUND
from watchlist.alerts.records import Order
from watchlist.alerts.slot_table import SlotTable
from watchlist.alerts.watch import RECENT_US, SPARE_ENTRIES, Watch


def put(table: SlotTable, watch: Watch, alert_id: int, since: Order) -> None:
    """Replaces an alert as an evaluation without updates does."""
    slot = table.find(alert_id)
    if slot == NOT_FOUND:
        watch.count += 1
    else:
        table.remove(slot)
    watch.wait_for(table, table.add(alert(id=alert_id, since=since), 0))


def arrived(watch: Watch, table: SlotTable, order: Order) -> Sequence[int]:
    watch.timestamp, watch.seq_id = order
    return [table.ids[slot] for slot in watch.pop_arrived(table)]


def test_alerts_that_another_engine_arms_again_and_again_need_no_more_memory():
    table, watch = SlotTable(), Watch("AAPL", 0)
    for since in range(1, 1_000):
        for alert_id in (1, 2, 3):
            put(table, watch, alert_id, (since, alert_id))
            assert len(watch.later) <= 2 * watch.count + SPARE_ENTRIES + 1
    assert arrived(watch, table, (998, 9)) == []
    assert arrived(watch, table, (999, 2)) == [1, 2]
    assert arrived(watch, table, (999, 3)) == [3]


def test_alerts_arrive_in_order_also_after_old_entries_were_dropped():
    table, watch, rng = SlotTable(), Watch("AAPL", 0), Random(1)
    alert_ids = list(range(1, 41))
    for turn in range(1, 10):
        rng.shuffle(alert_ids)
        for place, alert_id in enumerate(alert_ids):
            put(table, watch, alert_id, (turn, place))
    assert [arrived(watch, table, (9, place)) for place in range(40)] == [[alert_id] for alert_id in alert_ids]


def test_an_alert_that_is_replaced_without_a_new_arming_needs_no_more_memory():
    table, watch = SlotTable(), Watch("AAPL", 0)
    for _ in range(100):
        put(table, watch, 1, (5, 1))
    assert len(watch.later) <= 2 + SPARE_ENTRIES + 1
    assert arrived(watch, table, (5, 1)) == [1]


def test_a_late_update_is_kept_only_if_it_is_not_too_old_for_a_new_alert():
    evaluator = MemoryDatabase([]).restart()
    limit = RECENT_US / 1e6
    for second in (20, 20 - limit, 20 - limit - 0.001, 0):
        evaluator.apply(update_at(100, second), SIMULATED)
    assert kept(evaluator) == [20, 20 - limit]
    evaluator.put(alert(repeat=Repeat.EACH, side=Side.BELOW, since=update_at(99, 1).order))
    assert len(evaluator.take_changes()[1]) == 1


def kept(evaluator: Evaluator) -> list[float]:
    first = update_at(0, 0).timestamp
    return [(update.timestamp - first) / 1e6 for update in evaluator._watches["AAPL"].recent]
