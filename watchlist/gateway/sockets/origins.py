"""Decides which origins may open a socket, and which may read private data. Pure."""

from collections.abc import Sequence

DEFAULT_PORTS = {"http": ":80", "https": ":443"}
"""What a browser leaves out of an origin, and a proxy may add to the Host header."""


def allows_origin(origin: str | None, allowed: Sequence[str]) -> bool:
    """Returns whether a client with this Origin header may connect.

    A client without the header may, because programs send none. An empty `allowed`, or `*` in it, allows all origins.
    """
    return origin is None or not allowed or "*" in allowed or origin in allowed


def is_own_origin(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Returns whether a page may read private data: it has our host, or its origin is listed by name (not by `*`)."""
    if origin is None:
        return False
    scheme, _, own = origin.partition("://")
    return origin in allowed or own == host.lower().removesuffix(DEFAULT_PORTS.get(scheme, " "))
