"""Describes why a connection ended, and how long to wait before the next connection. Pure."""

from enum import Enum

import msgspec

PERMANENT_STATUSES = {
    401: "the credentials are refused",
    402: "the plan does not include this",
    451: "the country of this machine is refused; another source may be possible",
}
"""The HTTP statuses after which no retry helps, each with a reason in words."""

RATE_STATUSES = frozenset({418, 429})
RATE_WAIT_SECONDS = 60.0
"""How long to wait after a status in RATE_STATUSES without a Retry-After header."""

MAX_WAIT_SECONDS = 3600.0


class EndingKind(Enum):
    """How a connection ended.

    SILENT: the source sent nothing. REFUSED: no retry helps. REPLACED: this process closed the connection. LOST: any
    other case.
    """

    LOST = "lost"
    SILENT = "silent"
    REFUSED = "refused"
    REPLACED = "replaced"


class Ending(msgspec.Struct, frozen=True):
    """Why a connection ended. `wait` is the least number of seconds before the next connection."""

    kind: EndingKind
    reason: str = ""
    wait: float = 0.0


def from_status(status: int, retry_after: str = "") -> Ending:
    """Returns the ending for the HTTP status of a refused connection or request.

    `retry_after` is the value of the header Retry-After.
    """
    if status in PERMANENT_STATUSES:
        return Ending(EndingKind.REFUSED, f"HTTP {status}: {PERMANENT_STATUSES[status]}")
    wait = RATE_WAIT_SECONDS if status in RATE_STATUSES else 0.0
    if len(retry_after) <= 6 and retry_after.isascii() and retry_after.isdecimal():
        wait = min(float(retry_after), MAX_WAIT_SECONDS)
    return Ending(EndingKind.LOST, f"HTTP {status}", wait)
