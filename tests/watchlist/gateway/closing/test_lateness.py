"""How late the sweeps of a gateway are."""

from watchlist.gateway.closing.lateness import Lateness


def late_after(*moments, period=1.0, window=60.0):
    lateness = Lateness(period, window)
    for moment in moments:
        lateness.note(moment)
    return lateness.seconds


def test_the_first_run_is_not_late():
    assert late_after(1000.0) == 0.0


def test_a_run_that_comes_in_time_or_early_is_not_late():
    assert late_after(10.0, 11.0, 11.5) == 0.0


def test_the_delays_of_late_runs_are_added_up():
    assert late_after(10.0, 14.0, 17.0, 18.0) == 5.0


def test_a_delay_is_forgotten_after_the_window():
    assert late_after(10.0, 14.0, 74.0, window=60.0) == 62.0
    assert late_after(10.0, 14.0, *(15.0 + second for second in range(60)), window=60.0) == 3.0
    assert late_after(10.0, 14.0, *(15.0 + second for second in range(61)), window=60.0) == 0.0
