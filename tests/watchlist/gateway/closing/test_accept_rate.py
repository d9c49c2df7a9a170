import pytest

from watchlist.gateway.closing.accept_rate import AcceptRate, Reading


def note_seconds(rate, *seconds, waited_share=0.0):
    """Notes one reading per second. Each second is a pair: its CPU time and its number of new connections.

    `waited_share` is the time that the process waits for a core, per CPU time.
    """
    now, cpu, accepted = 0.0, 0.0, 0
    rate.note(Reading(now, cpu, 0.0, accepted))
    for used, count in seconds:
        now, cpu, accepted = now + 1.0, cpu + used, accepted + count
        rate.note(Reading(now, cpu, cpu * waited_share, accepted))
    return rate.per_second


def test_a_process_that_has_accepted_nothing_assumes_500_per_second():
    assert AcceptRate().per_second == 500
    assert note_seconds(AcceptRate(), (0.0, 0), (0.0, 5)) == 500


def test_the_rate_approaches_what_many_connections_have_cost():
    rate = note_seconds(AcceptRate(), *[(1.0, 2000)] * 60)
    assert rate == pytest.approx(2000, rel=0.05)


def test_the_cost_of_other_work_is_not_counted_as_the_cost_of_connections():
    quiet, burst = [(0.4, 0)] * 40, [(0.9, 500)] * 60
    rate = note_seconds(AcceptRate(), *quiet, *burst)
    assert rate == pytest.approx(0.6 * 500 / 0.5, rel=0.05)


def test_a_process_that_is_busy_with_other_work_can_accept_fewer():
    assert note_seconds(AcceptRate(), *[(0.5, 0)] * 40) == pytest.approx(250, rel=0.01)
    assert note_seconds(AcceptRate(), *[(2.0, 0)] * 40) == pytest.approx(50)


def test_a_process_that_shares_its_core_with_others_can_accept_fewer():
    assert note_seconds(AcceptRate(), *[(0.1, 0)] * 40, waited_share=1.0) == pytest.approx(500 * 0.4, rel=0.01)
    assert note_seconds(AcceptRate(), *[(0.1, 0)] * 40, waited_share=-1.0) == pytest.approx(500 * 0.9, rel=0.01)


def test_the_rate_has_bounds():
    assert note_seconds(AcceptRate(), *[(0.0, 5000)] * 200) == 20_000
    assert note_seconds(AcceptRate(), *[(30.0, 20)] * 200) == 50


def test_readings_of_the_same_moment_count_once():
    rate = AcceptRate()
    rate.note(Reading(1.0, 0.0, 0.0, 0))
    rate.note(Reading(1.0, 5.0, 0.0, 5000))
    assert rate.per_second == 500
