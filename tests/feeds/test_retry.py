import threading
from random import Random

import pytest
from structlog.testing import capture_logs

from feeds.errors import PermanentError, StoreUnavailable
from feeds.retry import Backoff, CircuitBreaker, Jitter, Outage, retry


def test_an_outage_is_logged_once_at_its_beginning_and_once_at_its_end():
    times = iter([10.0, 14.5])
    outage = Outage("Redis", clock=lambda: next(times))
    with capture_logs() as lines:
        outage.begin("refused")
        outage.begin("refused again")
        assert outage.ongoing
        outage.end()
        outage.end()

    assert [(line["log_level"], line["event"], line.get("reason"), line.get("seconds")) for line in lines] == [
        ("warning", "Redis unavailable", "refused", None),
        ("info", "Redis available again", None, 4.5),
    ]
    assert not outage.ongoing


def test_waits_grow_to_a_maximum_and_start_again_after_a_reset():
    backoff = Backoff(Random(1), initial=0.2, maximum=1.0)
    waits = [backoff() for _ in range(50)]

    assert all(0.1 <= wait <= 1.0 for wait in waits)
    assert max(waits[:1]) <= 0.2
    assert max(waits) > 0.8
    backoff.reset()
    assert backoff() <= 0.2


class Constant(Random):
    """Returns the same number each time."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self._number = number

    def random(self) -> float:
        return self._number


@pytest.mark.parametrize(
    ("attempt", "number", "seconds"), [(0, 0.0, 0.25), (0, 1.0, 0.5), (3, 0.5, 3.0), (9, 1.0, 8.0), (999, 0.0, 4.0)]
)
def test_with_equal_jitter_half_of_each_wait_is_random(attempt: int, number: float, seconds: float):
    backoff = Backoff(Constant(number), initial=0.5, maximum=8.0, jitter=Jitter.EQUAL)

    assert [backoff() for _ in range(attempt + 1)][-1] == seconds


@pytest.mark.parametrize(
    ("attempt", "number", "seconds"), [(0, 0.0, 0.05), (0, 1.0, 0.1), (9, 0.0, 0.05), (9, 1.0, 2.0)]
)
def test_with_full_jitter_a_wait_may_be_short_at_every_attempt(attempt: int, number: float, seconds: float):
    backoff = Backoff(Constant(number))

    assert [backoff() for _ in range(attempt + 1)][-1] == seconds


def test_two_clients_wait_for_different_times():
    assert Backoff(Random(1))() != Backoff(Random(2))()


class Unavailable:
    """A service that fails a number of calls."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("unavailable")


def test_a_circuit_breaker_skips_calls_during_its_wait_and_logs_the_outage_once():
    now, failed_at, service = [0.0], [], Unavailable(2)
    breaker = CircuitBreaker("Redis", Random(1), lambda: now[0], lambda: failed_at.append(now[0]))
    with capture_logs() as lines:
        assert not breaker(service)
        assert not breaker(service)
        assert service.calls == 1
        now[0] = 10.0
        assert not breaker(service)
        now[0] = 20.0
        assert breaker(service)
        assert breaker(service)

    assert (service.calls, failed_at) == (4, [0.0, 10.0])
    assert [line["log_level"] for line in lines] == ["warning", "info"]


def test_a_permanent_error_passes_through_a_circuit_breaker():
    def refuse() -> None:
        raise PermanentError("never")

    with pytest.raises(PermanentError):
        CircuitBreaker("Redis", Random(1), lambda: 0.0, lambda: None)(refuse)


def test_a_call_is_repeated_until_it_succeeds():
    errors = iter([StoreUnavailable("Redis is away"), StoreUnavailable("Redis is away")])

    def call() -> None:
        for error in errors:
            raise error

    outage = Outage("Redis", clock=lambda: 1.0)
    with capture_logs() as lines:
        assert retry(call, outage, threading.Event(), Constant(0.0), "; waiting")

    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("Redis unavailable", "Redis is away; waiting"),
        ("Redis available again", None),
    ]


def test_retries_end_when_the_program_stops_and_at_an_error_that_no_retry_can_fix():
    stop = threading.Event()

    def fail() -> None:
        stop.set()
        raise StoreUnavailable("Redis is away")

    def refuse() -> None:
        raise PermanentError("refused")

    with pytest.raises(PermanentError):
        retry(refuse, Outage("Redis"), stop, Random(1))
    assert not retry(fail, Outage("Redis"), stop, Random(1))
