"""Finds the address of a client for rate limits, also behind trusted proxies. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any


def client_address(client: Sequence[Any] | None, forwarded: str = "", trusted: Sequence[str] = ()) -> str:
    """Returns the address of the client, or "unknown" if there is no valid address.

    `client` is (address, port) of the peer that opened the connection, `forwarded` an X-Forwarded-For header. `trusted`
    are the networks of trusted proxies. If the peer is a trusted proxy, the client's address is the last address in
    `forwarded` that is not a trusted proxy's; otherwise it is the peer's address. An IPv4-mapped address is returned as
    IPv4. An IPv6 address is returned as its /64 network, because one home has a whole /64 network.
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
