from hypothesis import given
from hypothesis import strategies as st

from feeds.processor.offset_ledger import OffsetLedger, WorkerLoads


def test_an_offset_may_be_stored_when_all_parts_are_in():
    ledger = OffsetLedger()
    span = ledger.open(0, 10, parts=2)
    ledger.close(span)

    assert ledger.advance() == {}
    ledger.close(span)
    assert ledger.advance() == {0: 10}
    assert ledger.advance() == {}


def test_a_later_span_waits_for_an_earlier_one():
    ledger = OffsetLedger()
    early, late = ledger.open(0, 10, parts=1), ledger.open(0, 20, parts=1)
    ledger.close(late)

    assert ledger.advance() == {}
    ledger.close(early)
    assert ledger.advance() == {0: 20}


def test_partitions_do_not_wait_for_each_other():
    ledger = OffsetLedger()
    ledger.open(0, 10, parts=1)
    ledger.close(ledger.open(1, 7, parts=1))

    assert ledger.advance() == {1: 7}


def test_a_span_without_parts_is_done_already():
    ledger = OffsetLedger()
    ledger.open(3, 5, parts=0)

    assert ledger.pending() == 0
    assert ledger.advance() == {3: 5}


def test_pending_counts_unfinished_spans_of_the_partitions_asked_for():
    ledger = OffsetLedger()
    ledger.open(0, 10, parts=1)
    ledger.open(1, 10, parts=1)

    assert (ledger.pending(), ledger.pending([1]), ledger.pending([2])) == (2, 1, 0)


def test_a_fenced_partition_is_marked_and_never_stored():
    ledger = OffsetLedger()
    gone, kept = ledger.open(0, 10, parts=1), ledger.open(1, 10, parts=1)
    ledger.fence([0])
    ledger.close(gone)

    assert (gone.fenced, kept.fenced) == (True, False)
    assert ledger.advance() == {}


def test_a_partition_that_comes_back_starts_afresh():
    ledger = OffsetLedger()
    old = ledger.open(0, 50, parts=1)
    ledger.fence()
    new = ledger.open(0, 12, parts=1)
    ledger.close(old)
    ledger.close(new)

    assert ledger.advance() == {0: 12}


@given(st.permutations(range(8)))
def test_in_whatever_order_parts_come_in_only_the_finished_prefix_is_stored(order: list[int]):
    ledger = OffsetLedger()
    spans = [ledger.open(0, number + 1, parts=1) for number in range(8)]
    stored, finished = 0, set()
    for number in order:
        ledger.close(spans[number])
        finished.add(number)
        stored = ledger.advance().get(0, stored)
        assert set(range(stored)) <= finished
        assert stored not in finished
    assert stored == 8


def test_a_worker_that_gives_nothing_back_is_held_after_a_while():
    loads = WorkerLoads(2)
    loads.give(1, 7, now=100.0)

    assert loads.held(30.0, now=130.0) == {}
    assert loads.held(30.0, now=130.1) == {1: 7}


def test_a_worker_that_gives_something_back_is_not_held_however_much_it_has():
    loads = WorkerLoads(1)
    loads.give(0, 7, now=0.0)
    loads.give(0, 7, now=20.0)
    loads.take(0, 7, now=25.0)

    assert loads.held(30.0, now=50.0) == {}
    assert loads.held(30.0, now=56.0) == {0: 7}


def test_a_worker_without_work_is_never_held():
    loads = WorkerLoads(1)
    loads.give(0, 7, now=0.0)
    loads.take(0, 7, now=1.0)
    assert loads.held(30.0, now=1_000.0) == {}

    loads.give(0, 1, now=1_000.0)
    assert loads.held(30.0, now=1_020.0) == {}


def test_the_greatest_load_is_that_of_the_worker_with_most():
    loads = WorkerLoads(3)
    loads.give(0, 5, now=0.0)
    loads.give(2, 9, now=0.0)

    assert loads.greatest == 9
