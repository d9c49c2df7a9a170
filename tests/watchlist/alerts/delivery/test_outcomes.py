from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from watchlist.alerts.delivery.outcomes import (
    SENT,
    Outcome,
    Result,
    backoff_seconds,
    judge_status,
    next_attempt,
    read_retry_after,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "result"),
    [
        *((code, Result.SENT) for code in (200, 201, 202, 204, 299)),
        *((code, Result.REFUSED) for code in (300, 301, 302, 304, 307, 308)),
        *((code, Result.REFUSED) for code in (400, 401, 403, 404, 408, 410, 422)),
        *((code, Result.RETRY) for code in (500, 501, 505, 599)),
        *((code, Result.RETRY_ALL) for code in (429, 502, 503, 504)),
    ],
)
def test_the_status_decides_about_another_attempt(code, result):
    assert judge_status(code, "", "", NOW).result is result


def test_the_error_names_the_status():
    assert judge_status(404, "Not Found", "", NOW).error == "the receiver answered 404 Not Found"
    assert judge_status(599, "", "", NOW).error == "the receiver answered 599"
    assert judge_status(302, "Found", "", NOW).error.endswith("redirects are not followed, enter the final URL")
    assert SENT.error == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("9" * 10, None),
        ("9" * 100_000, None),
        ("tomorrow", None),
        ("Sun, 99 Nov 2026 12:01:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text, seconds):
    assert read_retry_after(text, NOW) == seconds
    assert judge_status(429, "", text, NOW).wait == seconds


def test_waits_double_up_to_five_minutes():
    for failures, ceiling in [(1, 5), (2, 10), (3, 20), (7, 300), (8, 300), (10**6, 300)]:
        waits = [backoff_seconds(failures, Random(seed)) for seed in range(50)]
        assert ceiling / 2 <= min(waits) < max(waits) <= ceiling


def test_a_delivery_is_retried_within_an_hour_of_its_firing():
    retry = Outcome(Result.RETRY, "x")
    assert next_attempt(retry, 60.0, NOW, NOW) == NOW + timedelta(minutes=1)
    assert next_attempt(retry, 60.0, NOW - timedelta(minutes=59), NOW) == NOW + timedelta(minutes=1)
    assert next_attempt(retry, 61.0, NOW - timedelta(minutes=59), NOW) is None
    assert next_attempt(retry, 1.0, NOW - timedelta(days=1), NOW) is None


def test_the_receiver_can_ask_for_a_longer_wait_but_not_beyond_the_hour():
    assert next_attempt(Outcome(Result.RETRY_ALL, "", 90.0), 5.0, NOW, NOW) == NOW + timedelta(seconds=90)
    assert next_attempt(Outcome(Result.RETRY_ALL, "", 1.0), 5.0, NOW, NOW) == NOW + timedelta(seconds=5)
    assert next_attempt(Outcome(Result.RETRY_ALL, "", 3601.0), 5.0, NOW, NOW) is None


def test_a_wait_until_the_last_second_of_the_calendar_is_a_failure():
    wait = read_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", NOW)
    later = NOW + timedelta(seconds=2)  # the outcome is written a moment after the answer
    assert next_attempt(Outcome(Result.RETRY_ALL, "", wait), 5.0, NOW, later) is None


@pytest.mark.parametrize("outcome", [SENT, Outcome(Result.REFUSED, "no")])
def test_nothing_follows_a_success_or_a_final_refusal(outcome):
    assert next_attempt(outcome, 5.0, NOW, NOW) is None
