"""Defines the error responses of `/stream`, as problem details (RFC 9457). Pure."""

from dataclasses import dataclass

import msgspec

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
DETAILS = {
    "origin": "Pages of this origin may not read prices",
    "no tickers": "The tickers cannot be read yet",
    "address rate": "Too many connections from this address or of this account",
    "sign in": "This site is private: sign in first",
    "database": "The database does not answer, so an account or a token cannot be verified",
    "token": "The token is not valid",
    "scope": "The token has no scope read",
    "token rate": "Too many wrong tokens from this address, or too many connections with this token",
    "address full": "Too many open connections from this address",
    "refused by operator": "The operator of this site refuses this client for a time",
    "shutdown": "The gateway is stopping",
    "full": "The gateway is full",
}
"""Maps the reason of a refused connection to a sentence for people."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a stream is refused.

    `reason` is for programs, `detail` for people. `retry_after` is in seconds; 0 stands for no time. `symbols` are the
    unknown symbols of the request.
    """

    status: int
    reason: str
    detail: str
    retry_after: int = 0
    symbols: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return TITLES[self.status]

    def encode(self) -> bytes:
        """Returns the JSON text of the response."""
        body: dict[str, object] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason,
        }
        return msgspec.json.encode(body | {"symbols": self.symbols} if self.symbols else body)


WRONG_METHOD = Problem(405, "method", "Streams answer only GET")


def describe_refusal(reason: str, status: int, retry_after: int) -> Problem:
    """Returns the problem for a stream that `Admission` has refused. `reason` must be a key of DETAILS."""
    return Problem(status, reason, DETAILS[reason], retry_after)
