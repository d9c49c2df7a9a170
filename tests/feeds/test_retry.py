from random import Random

import pytest
from structlog.testing import capture_logs

from feeds.errors import PermanentError, StoreUnavailable
from feeds.retry import Backoff, Outage, RetriedCalls


def test_an_outage_is_said_once_and_its_end_once():
    times = iter([10.0, 14.5])
    outage = Outage("Redis", clock=lambda: next(times))
    with capture_logs() as lines:
        outage.begin("refused")
        outage.begin("refused again")
        assert outage.lasting
        outage.end()
        outage.end()

    assert [(line["log_level"], line.get("reason"), line.get("seconds")) for line in lines] == [
        ("warning", "refused", None),
        ("info", None, 4.5),
    ]
    assert not outage.lasting


def test_waits_grow_to_a_ceiling_and_start_again_after_a_success():
    backoff = Backoff(Random(1), least=0.1, most=1.0)
    waits = [backoff() for _ in range(50)]

    assert all(0.1 <= wait <= 1.0 for wait in waits)
    assert max(waits[:1]) <= 0.2
    assert max(waits) > 0.8
    backoff.reset()
    assert backoff() <= 0.2


def test_two_who_wait_do_not_come_back_at_once():
    assert Backoff(Random(1))() != Backoff(Random(2))()


class Away:
    """Something that is away for so many calls."""

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        if self.left:
            self.left -= 1
            raise StoreUnavailable("away")


def test_an_effort_is_made_again_only_after_its_wait_and_told_of_once():
    now, retried, away = [0.0], [], Away(2)
    effort = RetriedCalls("Redis", Random(1), lambda: now[0], lambda: retried.append(now[0]))
    with capture_logs() as lines:
        assert not effort(away)
        assert not effort(away)
        assert away.asked == 1
        now[0] = 10.0
        assert not effort(away)
        now[0] = 20.0
        assert effort(away)
        assert effort(away)

    assert (away.asked, retried) == (4, [0.0, 10.0])
    assert [line["log_level"] for line in lines] == ["warning", "info"]


def test_an_error_that_no_retry_helps_passes_through_an_effort():
    def refuse() -> None:
        raise PermanentError("never")

    with pytest.raises(PermanentError):
        RetriedCalls("Redis", Random(1), lambda: 0.0, lambda: None)(refuse)
