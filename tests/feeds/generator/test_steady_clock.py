from structlog.testing import capture_logs

from feeds.generator.steady_clock import SteadyClock

SECOND, HOUR = 1_000_000_000, 3_600_000_000_000
START = 1_766_480_000 * SECOND


class Clocks:
    """A system clock, and the seconds since the start. `shift` is how far the system clock is ahead, in nanoseconds."""

    def __init__(self) -> None:
        self.seconds, self.shift = 0.0, 0
        self.steady = SteadyClock(lambda: START + int(self.seconds * SECOND) + self.shift, lambda: self.seconds)

    def read(self, seconds: float, shift: int = 0) -> float:
        """Returns what the clock shows, in seconds after the start."""
        self.seconds, self.shift = seconds, shift
        return (self.steady() - START) / SECOND


def test_a_clock_that_is_set_back_goes_on_and_is_logged_once():
    clocks = Clocks()
    with capture_logs() as lines:
        assert [clocks.read(1), clocks.read(2, -HOUR), clocks.read(60, -HOUR)] == [1, 2, 60]
        assert clocks.read(61) == 61
    assert [line["seconds"] for line in lines] == [3600]


def test_small_corrections_are_followed():
    clocks = Clocks()
    shown = [clocks.read(second, -shift) for second, shift in ((10, SECOND // 2), (20, SECOND), (30, 3 * SECOND // 2))]
    assert shown == [9.5, 19, 28.5]


def test_a_clock_that_jumps_ahead_and_returns_is_followed():
    clocks = Clocks()
    with capture_logs() as lines:
        assert [clocks.read(1), clocks.read(2, HOUR), clocks.read(3)] == [1, 3602, 3]
    assert lines == []
