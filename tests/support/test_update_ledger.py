from hypothesis import given
from hypothesis import strategies as st

from feeds.wire import Update, encode
from tests.support.update_ledger import Ledger, Report


def update(number: int, symbol: str = "AAPL") -> Update:
    return Update(symbol, 1.5, number, number)


def book(log: list[int], heard: list[int], stored: int | None, doubtful: tuple[int, ...] = ()) -> Report:
    """Everything about one symbol; what is doubtful was produced first."""
    ledger = Ledger()
    for number in [*doubtful, *log]:
        ledger.produced(update(number))
    for offset, number in enumerate(log):
        ledger.acked(update(number), offset)
    for number in heard:
        ledger.heard(update(number))
    return ledger.report({"AAPL": encode(update(stored)) if stored is not None else None})


def orders(*numbers: int) -> list[tuple[str, tuple[int, int]]]:
    return [("AAPL", (number, number)) for number in numbers]


def test_what_is_published_once_and_in_order_is_no_fault():
    report = book([1, 2, 3], [1, 2, 3], 3)

    assert report.faults == {}
    assert (report.due, report.published, report.unheard) == (3, 3, 0)


def test_an_acknowledged_update_that_is_never_published_is_lost():
    assert book([1, 2, 3], [1, 3], 3).lost == orders(2)
    assert book([1, 2, 3], [1, 3], 3).faults == {"lost": 1}


def test_a_symbol_whose_newest_update_is_not_stored_is_behind():
    assert book([1, 2], [1, 2], 1).faults == {"behind": 1}
    assert book([1, 2], [1, 2], None).behind == ["AAPL"]
    assert book([1, 2], [1], 1).faults == {"lost": 1, "behind": 1}


def test_what_is_stored_may_not_go_back_behind_what_was_published_without_an_acknowledgement():
    assert book([1], [1, 2], 1, doubtful=(2,)).faults == {"behind": 1}


def test_each_publication_beyond_the_first_is_a_duplicate():
    assert book([1, 2, 3], [1, 2, 2, 3, 1, 2], 3).duplicated == orders(2, 1, 2)
    assert book([1, 2, 3], [1, 2, 2, 3, 1, 2], 3).faults == {"duplicated": 3}


def test_a_due_update_that_comes_after_a_newer_one_is_reordered():
    assert book([1, 2, 3], [1, 3, 2], 3).faults == {"reordered": 1}


def test_an_update_that_the_log_has_after_a_newer_one_is_stale_when_it_is_published_and_not_lost_when_it_is_not():
    assert book([1, 3, 2], [1, 3, 2], 3).faults == {"stale": 1}
    assert book([1, 3, 2], [1, 3], 3).faults == {}


def test_what_nobody_produced_is_foreign():
    assert book([1], [1, 9], 1).faults == {"foreign": 1}
    assert book([1], [1], 9).faults == {"foreign": 1}


def test_another_symbol_s_order_does_not_count():
    ledger = Ledger()
    ledger.produced(update(1))
    ledger.acked(update(1), 0)
    ledger.heard(update(1, "GOOG"))

    assert ledger.report({"AAPL": encode(update(1))}).faults == {"lost": 1, "foreign": 1}


def test_an_update_that_was_never_acknowledged_may_be_published_or_not():
    assert book([2, 3], [2, 3], 3, doubtful=(1,)).faults == {}
    assert book([2, 3], [1, 2, 3], 3, doubtful=(1,)).faults == {}


def test_behind_a_newer_one_that_may_be_in_the_log_nothing_is_due():
    assert book([2], [], None, doubtful=(5,)).faults == {}


def test_what_may_have_been_published_while_nobody_listened_is_told_apart():
    ledger = Ledger()
    for number in range(1, 7):
        ledger.produced(update(number))
        ledger.acked(update(number), number)
    for number in (1, 2):
        ledger.heard(update(number))
    ledger.gap()
    for number in (4, 6):
        ledger.heard(update(number))
    report = ledger.report({"AAPL": encode(update(6))})

    assert report.unheard == 1
    assert report.lost == orders(5)


def test_a_record_read_back_from_the_log_counts_without_its_producer():
    ledger = Ledger()
    ledger.acked(update(1), 0)

    assert ledger.newest() == {"AAPL": (1, 1)}
    assert ledger.report({"AAPL": None}).faults == {"lost": 1, "behind": 1}


@given(st.lists(st.integers(1, 30), min_size=1, unique=True), st.data())
def test_whatever_is_left_out_of_a_right_run_is_lost_and_nothing_else(log: list[int], data: st.DataObject):
    due = [number for at, number in enumerate(log) if number > max(log[:at], default=0)]
    left_out = data.draw(st.sets(st.sampled_from(due)))
    report = book(log, [number for number in due if number not in left_out], due[-1])

    assert sorted(report.lost) == sorted(orders(*left_out))
    assert report.faults.keys() <= {"lost"}
