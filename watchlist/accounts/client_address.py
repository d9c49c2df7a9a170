"""Finds the client address that limits count, and says which proxies are trusted. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any


def client_address(client: Sequence[Any] | None, forwarded: str = "", trusted: Sequence[str] = ()) -> str:
    """Returns the peer's address, or the last one in `forwarded` that is not a trusted proxy's.

    `client` is the peer's (address, port), `forwarded` an X-Forwarded-For header, `trusted` are networks. An
    IPv4-mapped address is returned as IPv4, an IPv6 address as its /64 network, because one home has that many.
    Returns "unknown" if there is no valid address.
    """
    address = _parse_address(client[0]) if client else None
    for hop in reversed(forwarded.split(",") if forwarded else []):
        if address is None or not _is_in(address, trusted):
            break
        address = _parse_address(hop.strip())
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address or "unknown")


def is_trusted(address: str, trusted: Sequence[str]) -> bool:
    """Returns whether a peer's address belongs to a trusted proxy."""
    parsed = _parse_address(address)
    return parsed is not None and _is_in(parsed, trusted)


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[str]) -> bool:
    return any(address in ip_network(network, strict=False) for network in networks)


def _parse_address(text: Any) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
