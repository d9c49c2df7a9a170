"""Decides who may see metrics and the details of health checks. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from watchlist.accounts.client_address import find_client, is_in, is_trusted

PROXY_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
"""The headers in which a proxy says whose request it passes on."""


def may_see_metrics(meta: Mapping[str, Any], allowed: Sequence[str], trusted: Sequence[str]) -> bool:
    """Returns whether the client of a request is in one of the `allowed` networks.

    `meta` holds the headers and the peer of the request, as Django's `HttpRequest.META` does. `trusted` holds the
    networks of trusted proxies. A request that a proxy has passed on is refused if the proxy is not trusted, or if its
    X-Forwarded-For does not name the client. The proxy may be in an allowed network, but nobody knows where the client
    is.
    """
    peer, forwarded = meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", "")
    is_passed_on = any(name in meta for name in PROXY_HEADERS)
    if is_passed_on and not (forwarded and is_trusted(peer, trusted)):
        return False
    client = find_client((peer, 0), forwarded, trusted, exact=True)
    return client is not None and is_in(client, allowed)
