"""Decides which origins may open a socket, and which may read private data. Pure."""

from collections.abc import Sequence


def allows_origin(origin: str | None, allowed: Sequence[str]) -> bool:
    """Returns whether the origin may connect. No origin (programs send none) may; an empty list and `*` allow all."""
    return origin is None or not allowed or "*" in allowed or origin in allowed


def is_own_origin(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Returns whether a page may read private data: it has our host, or its origin is listed by name (not by `*`)."""
    return origin is not None and (origin in allowed or origin.partition("://")[2] == host)
