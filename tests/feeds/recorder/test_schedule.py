import pytest

from feeds.recorder.schedule import Schedule

TEN_SECONDS_INTO_A_MINUTE = 1_766_480_410.0


class Times:
    """Both clocks of a schedule: `seconds` have passed since the start."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> float:
        return 500.0 + self.seconds

    def now(self) -> float:
        return TEN_SECONDS_INTO_A_MINUTE + self.seconds


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def schedule(times: Times) -> Schedule:
    schedule = Schedule(times.clock, times.now)
    schedule.start()
    return schedule


def test_nothing_is_due_at_the_start(schedule: Schedule):
    assert not schedule.write_is_due
    assert not schedule.save_is_due
    assert not schedule.purge_is_due
    assert not schedule.follow_is_due


def test_a_write_is_due_one_second_after_the_last(times: Times, schedule: Schedule):
    times.seconds = 1.0
    assert schedule.write_is_due
    schedule.written()
    assert not schedule.write_is_due
    times.seconds = 2.0
    assert schedule.write_is_due


def test_a_save_is_due_two_seconds_after_each_full_minute(times: Times, schedule: Schedule):
    times.seconds = 51.9
    assert not schedule.save_is_due
    times.seconds = 52.0
    assert schedule.save_is_due
    times.seconds = 70.0
    schedule.saved()
    times.seconds = 111.9
    assert not schedule.save_is_due
    times.seconds = 112.0
    assert schedule.save_is_due


def test_a_save_can_be_due_at_once(schedule: Schedule):
    schedule.save_soon()
    assert schedule.save_is_due


def test_a_purge_is_due_one_minute_after_the_start_and_then_every_hour(times: Times, schedule: Schedule):
    times.seconds = 60.0
    assert schedule.purge_is_due
    schedule.purged()
    times.seconds = 3659.0
    assert not schedule.purge_is_due
    times.seconds = 3660.0
    assert schedule.purge_is_due


def test_a_search_for_fetched_bars_is_due_every_two_seconds(times: Times, schedule: Schedule):
    times.seconds = 2.0
    assert schedule.follow_is_due
    schedule.followed()
    assert not schedule.follow_is_due
