"""Finds the address that a request counts for, behind trusted proxies too. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any


def client_address(client: Sequence[Any] | None, forwarded: str = "", trusted: Sequence[str] = ()) -> str:
    """Whom a connection counts for: the peer, or behind trusted proxies the last address that none of them has.

    An IPv4 address that came over an IPv6 socket is written as IPv4; IPv6 counts by its /64, for a home has that many.
    """
    networks = [ip_network(network, strict=False) for network in trusted]
    address = _parse_address(client[0]) if client else None
    for hop in reversed(forwarded.split(",") if forwarded else []):
        if address is None or not any(address in network for network in networks):
            break
        address = _parse_address(hop.strip())
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address or "unknown")


def _parse_address(text: Any) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
