"""Limits how many HTTP connections one address may hold open.

An upgraded connection does not count any more: the gateway limits sockets. Pure.
"""

from collections.abc import Sequence
from typing import Any

from watchlist.accounts.client_address import client_address, is_trusted
from watchlist.gateway.sockets.address_counts import AddressCounts


class ConnectionLimit:
    """Counts the open HTTP connections of each address.

    `max_per_address` is the limit; 0 means no limit. The connections of trusted proxies do not count, because a proxy
    holds those of many clients. A peer without an address is a proxy on a Unix socket.
    """

    def __init__(self, max_per_address: int, trusted_proxies: Sequence[str]) -> None:
        self._max = max_per_address
        self._trusted = trusted_proxies
        self.counts = AddressCounts()

    def find_address(self, peer: Any) -> str | None:
        """Returns the address by which the connection of a peer counts; None if it does not count."""
        host = getattr(peer, "host", None)
        if not self._max or host is None or is_trusted(host, self._trusted):
            return None
        return client_address((host, 0))

    def is_exceeded(self, address: str, times: int = 1) -> bool:
        """Returns whether the address has more connections than `times` the limit."""
        return self.counts.count(address) > times * self._max


NO_LIMIT = ConnectionLimit(0, ())
