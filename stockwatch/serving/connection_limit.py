"""Limits how many HTTP connections one address may hold open.

Pure. A connection that becomes a WebSocket no longer counts.
"""

from collections.abc import Sequence

from watchlist.accounts.client_address import client_address, is_trusted
from watchlist.gateway.sockets.address_counts import AddressCounts


class ConnectionLimit:
    """Counts the open HTTP connections of each address.

    `max_per_address` is the limit; 0 means no limit. The connections of trusted proxies do not count.
    """

    def __init__(self, max_per_address: int, trusted_proxies: Sequence[str]) -> None:
        self._max = max_per_address
        self._trusted = trusted_proxies
        self.counts = AddressCounts()

    def find_address(self, host: str | None) -> str | None:
        """Returns the address under which a new connection is counted, or None if the connection is not counted.

        `host` is the peer's address, or None for a proxy on a Unix socket.
        """
        if not self._max or host is None or is_trusted(host, self._trusted):
            return None
        return client_address((host, 0))

    def is_exceeded(self, address: str, times: int = 1) -> bool:
        """Returns whether an address has more open connections than `times` times the limit."""
        return self.counts.count(address) > times * self._max


NO_LIMIT = ConnectionLimit(0, ())
