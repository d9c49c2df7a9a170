"""Decides which origins may open a socket, and which may read private data. Pure."""

from collections.abc import Sequence


def allows_origin(origin: str | None, allowed: Sequence[str]) -> bool:
    """Returns whether a client with this Origin header may connect.

    A client without the header may, because programs send none. An empty `allowed`, or `*` in it, allows all origins.
    """
    return origin is None or not allowed or "*" in allowed or origin in allowed


def is_own_origin(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Returns whether a page with this Origin header may read private data.

    It may if it is from the gateway's own host, or if `allowed` names its origin; `*` is not enough.
    """
    return origin is not None and (origin in allowed or origin.partition("://")[2] == host)
