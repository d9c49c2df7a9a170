"""Decides which origins may open a socket, and which origins may read private data. Pure."""

from collections.abc import Sequence

DEFAULT_PORTS = {"http": ":80", "https": ":443"}
"""Browsers leave these ports out of an origin. Proxies may add these ports to the Host header."""


def allows_origin(origin: str | None, allowed: Sequence[str]) -> bool:
    """Returns whether a client with this Origin header may connect.

    A client without the header may connect. All origins are allowed if `allowed` is empty or contains `*`.
    """
    return origin is None or not allowed or "*" in allowed or origin in allowed


def is_own_origin(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Returns whether a page with this Origin header may read private data.

    Returns True if the host in `origin` equals `host`, the value of the Host header. Also returns True if `allowed`
    contains `origin`. An entry `*` in `allowed` has no effect.
    """
    if origin is None:
        return False
    scheme, _, own = origin.partition("://")
    return origin in allowed or own == host.lower().removesuffix(DEFAULT_PORTS.get(scheme, " "))
