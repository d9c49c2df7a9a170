"""Decides what follows from an attempt to deliver: success, another attempt, or failure. Pure."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from random import Random

import msgspec

MAX_ERROR_LENGTH = 200
RETRY_PERIOD = timedelta(hours=1)
"""How long after a firing its delivery is retried."""

FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 5.0, 300.0
"""The wait after the first failed attempt, and the longest wait. Each wait is twice as long as the one before."""

RESTING_STATUSES = frozenset({429, 502, 503, 504})
"""HTTP statuses that say that the receiver cannot take any message now."""

MAX_WAIT_DIGITS = 9
HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"


class Result(Enum):
    """How an attempt ended."""

    SENT = "sent"
    RETRY = "retry"
    """The receiver refused one message. Other messages may succeed."""

    RETRY_ALL = "retry all"
    """The receiver takes no messages now."""

    REFUSED = "refused"
    """No retry helps."""


class Outcome(msgspec.Struct, frozen=True):
    """The result of one attempt.

    `error` is a text for the person. The database keeps the first MAX_ERROR_LENGTH characters of this text.
    `wait` is the number of seconds that the receiver asked to wait; None if it did not ask.
    """

    result: Result
    error: str = ""
    wait: float | None = None


SENT = Outcome(Result.SENT)


def judge_status(status: int, reason: str, retry_after: str, now: datetime) -> Outcome:
    """Returns the outcome of a request that was answered with an HTTP status. `retry_after` is the header or empty."""
    text = f"the receiver answered {status} {reason}".rstrip()
    if 200 <= status < 300:
        return SENT
    if 300 <= status < 400:
        return Outcome(Result.REFUSED, f"{text}: redirects are not followed, enter the final URL")
    if status in RESTING_STATUSES:
        return Outcome(Result.RETRY_ALL, text, read_retry_after(retry_after, now))
    return Outcome(Result.RETRY if status >= 500 else Result.REFUSED, text)


def read_retry_after(text: str, now: datetime) -> float | None:
    """Returns how many seconds a `Retry-After` header asks to wait; None if the header is not valid.

    The header contains a number of seconds, or the date of the next attempt.
    """
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) <= MAX_WAIT_DIGITS:
        return float(text)
    try:
        moment = datetime.strptime(text, HTTP_DATE).replace(tzinfo=UTC)
    except ValueError:
        return None
    return max((moment - now).total_seconds(), 0.0)


def backoff_seconds(failures: int, rng: Random) -> float:
    """Returns the seconds to wait after `failures` failed attempts, partly random. `failures` is at least 1."""
    ceiling = min(FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 10), MAX_WAIT_SECONDS)
    return rng.uniform(ceiling / 2, ceiling)


def next_attempt(outcome: Outcome, wait: float, fired_at: datetime, now: datetime) -> datetime | None:
    """Returns when a delivery is tried again; None if it is not tried again.

    `wait` is the result of `backoff_seconds`. If the receiver asked for a longer wait, the longer wait counts. No
    attempt is later than RETRY_PERIOD after the firing.
    """
    if outcome.result not in {Result.RETRY, Result.RETRY_ALL}:
        return None
    seconds = max(wait, outcome.wait or 0.0)
    if seconds > RETRY_PERIOD.total_seconds():
        return None  # the receiver may have asked for a wait that ends after the last year of a datetime
    moment = now + timedelta(seconds=seconds)
    return moment if moment <= fired_at + RETRY_PERIOD else None
