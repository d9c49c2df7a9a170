from hypothesis import given
from hypothesis import strategies as st

from feeds.processor.offset_ledger import OffsetLedger, WorkerProgress


def test_an_offset_is_stored_when_all_parts_are_finished():
    ledger = OffsetLedger()
    read = ledger.open(0, 10, parts=2)
    ledger.finish_part(read)

    assert ledger.advance() == {}
    ledger.finish_part(read)
    assert ledger.advance() == {0: 10}
    assert ledger.advance() == {}


def test_a_later_span_waits_for_an_earlier_one():
    ledger = OffsetLedger()
    early, late = ledger.open(0, 10, parts=1), ledger.open(0, 20, parts=1)
    ledger.finish_part(late)

    assert ledger.advance() == {}
    ledger.finish_part(early)
    assert ledger.advance() == {0: 20}


def test_partitions_do_not_wait_for_each_other():
    ledger = OffsetLedger()
    ledger.open(0, 10, parts=1)
    ledger.finish_part(ledger.open(1, 7, parts=1))

    assert ledger.advance() == {1: 7}


def test_a_span_without_parts_is_finished():
    ledger = OffsetLedger()
    ledger.open(3, 5, parts=0)

    assert ledger.pending() == 0
    assert ledger.advance() == {3: 5}


def test_pending_counts_unfinished_reads_of_the_given_partitions():
    ledger = OffsetLedger()
    ledger.open(0, 10, parts=1)
    ledger.open(1, 10, parts=1)

    assert (ledger.pending(), ledger.pending([1]), ledger.pending([2])) == (2, 1, 0)


def test_a_fenced_partition_is_marked_and_never_stored():
    ledger = OffsetLedger()
    revoked, kept = ledger.open(0, 10, parts=1), ledger.open(1, 10, parts=1)
    ledger.fence([0])
    ledger.finish_part(revoked)

    assert (revoked.fenced, kept.fenced) == (True, False)
    assert ledger.advance() == {}


def test_a_partition_that_is_assigned_again_starts_empty():
    ledger = OffsetLedger()
    old = ledger.open(0, 50, parts=1)
    ledger.fence()
    new = ledger.open(0, 12, parts=1)
    ledger.finish_part(old)
    ledger.finish_part(new)

    assert ledger.advance() == {0: 12}


@given(st.permutations(range(8)))
def test_only_the_finished_prefix_is_stored_in_whatever_order_parts_finish(order: list[int]):
    ledger = OffsetLedger()
    reads = [ledger.open(0, number + 1, parts=1) for number in range(8)]
    stored, finished = 0, set()
    for number in order:
        ledger.finish_part(reads[number])
        finished.add(number)
        stored = ledger.advance().get(0, stored)
        assert set(range(stored)) <= finished
        assert stored not in finished
    assert stored == 8


def test_a_worker_without_progress_stalls_after_a_time():
    progress = WorkerProgress(2)
    progress.assign(1, 7, now=100.0)

    assert progress.stalled(30.0, now=130.0) == {}
    assert progress.stalled(30.0, now=130.1) == {1: 7}


def test_a_worker_with_progress_does_not_stall_however_much_is_pending():
    progress = WorkerProgress(1)
    progress.assign(0, 7, now=0.0)
    progress.assign(0, 7, now=20.0)
    progress.complete(0, 7, now=25.0)

    assert progress.stalled(30.0, now=50.0) == {}
    assert progress.stalled(30.0, now=56.0) == {0: 7}


def test_a_worker_without_pending_updates_never_stalls():
    progress = WorkerProgress(1)
    progress.assign(0, 7, now=0.0)
    progress.complete(0, 7, now=1.0)
    assert progress.stalled(30.0, now=1_000.0) == {}

    progress.assign(0, 1, now=1_000.0)
    assert progress.stalled(30.0, now=1_020.0) == {}


def test_max_pending_is_that_of_the_worker_with_most_updates():
    progress = WorkerProgress(3)
    progress.assign(0, 5, now=0.0)
    progress.assign(2, 9, now=0.0)

    assert progress.max_pending == 9


def test_the_updates_of_late_workers_count_in_part():
    progress = WorkerProgress(2)
    progress.assign(0, 100, 0.0)
    progress.assign(1, 7, 0.0)
    assert (progress.pending(0), progress.pending(1), progress.max_pending) == (100, 7, 100)
    assert progress.max_pending_except({0}, 50) == 7
    assert progress.max_pending_except({0}, 10) == 10
    assert progress.max_pending_except(set(), 10) == 100
