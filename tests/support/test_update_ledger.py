from hypothesis import given
from hypothesis import strategies as st

from feeds.wire import Update, encode
from tests.support.times import at
from tests.support.update_ledger import Ledger, Report


def update(number: int, symbol: str = "AAPL") -> Update:
    return Update(symbol, 1.5, at(number), number)


def report_of(log: list[int], published: list[int], stored: int | None, unacknowledged: tuple[int, ...] = ()) -> Report:
    """Returns the report about the symbol AAPL. Each number stands for an update, a greater number for a newer update.

    `log` holds the acknowledged updates, `stored` the update in Redis. The unacknowledged updates are produced first.
    """
    ledger = Ledger()
    for number in [*unacknowledged, *log]:
        ledger.add_produced(update(number))
    for offset, number in enumerate(log):
        ledger.add_acknowledged(update(number), offset)
    for number in published:
        ledger.add_published(update(number))
    return ledger.report({"AAPL": encode(update(stored)) if stored is not None else None})


def orders(*numbers: int) -> list[tuple[str, tuple[int, int]]]:
    return [("AAPL", (at(number), number)) for number in numbers]


def test_updates_published_once_and_in_order_are_no_fault():
    report = report_of([1, 2, 3], [1, 2, 3], 3)

    assert report.faults == {}
    assert (report.due, report.published, report.unobserved) == (3, 3, 0)


def test_an_acknowledged_update_that_is_never_published_is_lost():
    assert report_of([1, 2, 3], [1, 3], 3).lost == orders(2)
    assert report_of([1, 2, 3], [1, 3], 3).faults == {"lost": 1}


def test_a_symbol_whose_newest_update_is_not_stored_is_behind():
    assert report_of([1, 2], [1, 2], 1).faults == {"behind": 1}
    assert report_of([1, 2], [1, 2], None).behind == ["AAPL"]
    assert report_of([1, 2], [1], 1).faults == {"lost": 1, "behind": 1}


def test_a_stored_update_older_than_a_published_unacknowledged_one_is_behind():
    assert report_of([1], [1, 2], 1, unacknowledged=(2,)).faults == {"behind": 1}


def test_each_publication_beyond_the_first_is_a_duplicate():
    assert report_of([1, 2, 3], [1, 2, 2, 3, 1, 2], 3).duplicated == orders(2, 1, 2)
    assert report_of([1, 2, 3], [1, 2, 2, 3, 1, 2], 3).faults == {"duplicated": 3}


def test_a_due_update_published_after_a_newer_one_is_reordered():
    assert report_of([1, 2, 3], [1, 3, 2], 3).faults == {"reordered": 1}


def test_an_update_behind_a_newer_one_in_the_log_is_stale_if_published_and_not_lost_if_not():
    assert report_of([1, 3, 2], [1, 3, 2], 3).faults == {"stale": 1}
    assert report_of([1, 3, 2], [1, 3], 3).faults == {}


def test_an_update_that_was_never_produced_is_foreign():
    assert report_of([1], [1, 9], 1).faults == {"foreign": 1}
    assert report_of([1], [1], 9).faults == {"foreign": 1}


def test_orders_of_different_symbols_are_independent():
    ledger = Ledger()
    ledger.add_produced(update(1))
    ledger.add_acknowledged(update(1), 0)
    ledger.add_published(update(1, "GOOG"))

    assert ledger.report({"AAPL": encode(update(1))}).faults == {"lost": 1, "foreign": 1}


def test_an_update_that_was_never_acknowledged_may_be_published_or_not():
    assert report_of([2, 3], [2, 3], 3, unacknowledged=(1,)).faults == {}
    assert report_of([2, 3], [1, 2, 3], 3, unacknowledged=(1,)).faults == {}


def test_an_update_after_a_newer_unacknowledged_one_is_not_due():
    assert report_of([2], [], None, unacknowledged=(5,)).faults == {}


def test_an_update_that_a_listener_may_have_missed_is_unobserved():
    ledger = Ledger()
    for number in range(1, 7):
        ledger.add_produced(update(number))
        ledger.add_acknowledged(update(number), number)
    for number in (1, 2):
        ledger.add_published(update(number))
    ledger.add_gap()
    for number in (4, 6):
        ledger.add_published(update(number))
    report = ledger.report({"AAPL": encode(update(6))})

    assert report.unobserved == 1
    assert report.lost == orders(5)


def test_a_record_read_from_the_log_counts_without_being_produced():
    ledger = Ledger()
    ledger.add_acknowledged(update(1), 0)

    assert ledger.newest() == {"AAPL": (at(1), 1)}
    assert ledger.report({"AAPL": None}).faults == {"lost": 1, "behind": 1}


@given(st.lists(st.integers(1, 30), min_size=1, unique=True), st.data())
def test_exactly_the_updates_left_out_of_a_correct_run_are_lost(log: list[int], data: st.DataObject):
    due = [number for index, number in enumerate(log) if number > max(log[:index], default=0)]
    left_out = data.draw(st.sets(st.sampled_from(due)))
    report = report_of(log, [number for number in due if number not in left_out], due[-1])

    assert sorted(report.lost) == sorted(orders(*left_out))
    assert report.faults.keys() <= {"lost"}
