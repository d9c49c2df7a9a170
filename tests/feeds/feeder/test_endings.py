import pytest

from feeds.feeder.network.endings import MAX_WAIT_SECONDS, RATE_WAIT_SECONDS, EndingKind, from_status


@pytest.mark.parametrize("status", [401, 402, 451])
def test_a_status_that_no_retry_corrects_is_a_refusal_with_a_reason(status: int):
    ending = from_status(status)
    assert ending.kind is EndingKind.REFUSED
    assert ending.reason.startswith(f"HTTP {status}: ")


@pytest.mark.parametrize(
    ("status", "retry_after", "wait"),
    [
        (503, "", 0.0),
        (503, "7", 7.0),
        (429, "", RATE_WAIT_SECONDS),
        (418, "", RATE_WAIT_SECONDS),
        (429, "5", 5.0),
        (429, "999999", MAX_WAIT_SECONDS),
        (429, "9999999", RATE_WAIT_SECONDS),
        (503, "Wed, 21 Oct 2026", 0.0),
        (503, "²", 0.0),
    ],
)
def test_another_status_is_a_lost_connection_that_may_name_a_wait(status: int, retry_after: str, wait: float):
    ending = from_status(status, retry_after)
    assert (ending.kind, ending.wait) == (EndingKind.LOST, wait)
