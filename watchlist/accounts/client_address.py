"""Finds the address of a client from its connection and the header X-Forwarded-For. Pure."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

MAX_CHARACTERS = 64
FORWARDED = re.compile(
    r'"?(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9a-fA-F:.]+(?:%\w+)?))"?'
)
"""Matches an IP address with or without port, brackets and quotes, such as `"[2001:db8::1]:567"`."""

OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
PLAIN_IPV4 = re.compile(rf"{OCTET}(?:\.{OCTET}){{3}}")


def client_address(client: Sequence[Any] | None, forwarded: str = "", trusted: Sequence[str] = ()) -> str:
    """Returns the address of the client, or "unknown" if the peer has no valid address.

    `client` is the pair (address, port) of the peer. `forwarded` is an X-Forwarded-For header, such as `203.0.113.7,
    10.0.0.2`. `trusted` holds the networks of trusted proxies, such as `10.0.0.0/8`.

    A peer that is not a trusted proxy is the client. Behind a trusted proxy, the client is the last address in
    `forwarded` that is not a trusted proxy. An IPv6 address is returned as its /64 network.
    """
    peer = client[0] if client else None
    if not forwarded and isinstance(peer, str) and PLAIN_IPV4.fullmatch(peer):
        return peer  # the usual case, without the slow parser
    address = find_client(client, forwarded, trusted)
    if isinstance(address, IPv6Address):  # one home usually has a whole /64 network
        return str(ip_network((int(address), 64), strict=False))  # without the name of an interface
    return str(address or "unknown")


def find_client(
    client: Sequence[Any] | None, forwarded: str = "", trusted: Sequence[str] = (), *, exact: bool = False
) -> IPv4Address | IPv6Address | None:
    """Returns the address of the client; None if the peer has no valid address.

    The arguments are those of `client_address`. If a trusted proxy names an address that cannot be read, the result is
    the address of this proxy, or None if `exact` is true.
    """
    address = _parse_address(client[0] if client else None)
    # From right to left, until an address is not a trusted proxy, or the next address cannot be read.
    for hop in reversed(forwarded.split(",") if forwarded else []):
        if address is None or not is_in(address, trusted):
            break
        before = _parse_address(hop.strip())
        if before is None:
            return None if exact else address
        address = before
    return address


def is_trusted(address: str, trusted: Sequence[str]) -> bool:
    """Returns whether a peer's address belongs to a trusted proxy."""
    parsed = _parse_address(address)
    return parsed is not None and is_in(parsed, trusted)


def is_in(address: IPv4Address | IPv6Address, networks: Sequence[str]) -> bool:
    """Returns whether an address is in one of the networks, such as `10.0.0.0/8`."""
    return any(address in ip_network(network, strict=False) for network in networks)


def _parse_address(text: Any) -> IPv4Address | IPv6Address | None:
    found = FORWARDED.fullmatch(text) if isinstance(text, str) and len(text) <= MAX_CHARACTERS else None
    try:
        address = ip_address(next(filter(None, found.groups())) if found else "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
