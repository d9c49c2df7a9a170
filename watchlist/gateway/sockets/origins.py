"""Decides which origins may open a socket, and which may read private data. Pure."""

from collections.abc import Sequence


def allows_origin(origin: str | None, allowed: Sequence[str]) -> bool:
    """A missing Origin passes, for programs send none; so does everything while the list is empty or has a `*`."""
    return origin is None or not allowed or "*" in allowed or origin in allowed


def is_own_origin(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Whether a page may be told what is private: it is ours, or its origin is named; `*` names nobody."""
    return origin is not None and (origin in allowed or origin.partition("://")[2] == host)
