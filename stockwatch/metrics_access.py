"""Decides who may see metrics and the details of health checks. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from watchlist.accounts.client_address import find_client, is_in, is_trusted

PROXY_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
"""The headers in which a proxy says whose request it passes on."""


def may_see_metrics(meta: Mapping[str, Any], allowed: Sequence[str], trusted: Sequence[str]) -> bool:
    """Returns whether the client of a request is in one of the `allowed` networks.

    `meta` holds the headers and the peer of the request, as Django's `HttpRequest.META` does. `trusted` holds the
    networks of trusted proxies. A request that an untrusted proxy has passed on is refused. The proxy may be in an
    allowed network, but nobody knows where the client is.
    """
    peer = meta.get("REMOTE_ADDR", "")
    if not is_trusted(peer, trusted) and any(name in meta for name in PROXY_HEADERS):
        return False
    client = find_client((peer, 0), meta.get("HTTP_X_FORWARDED_FOR", ""), trusted)
    return client is not None and is_in(client, allowed)
