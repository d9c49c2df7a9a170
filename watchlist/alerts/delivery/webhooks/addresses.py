"""Decides to which IP addresses the sender may connect: public ones, and those that the operator allows. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/3"),
        "168.63.129.16/32",  # leads to the host of a virtual machine in Azure
        # Special parts of 2000::/3: Teredo and other protocol assignments, documentation, 6to4.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
"""Networks that are not public. Unlike `is_global`, the list is the same in all versions of Python."""

PUBLIC_IPV6 = IPv6Network("2000::/3")
"""All public IPv6 addresses. NAT64, loopback, link-local and multicast addresses are not in this network."""


def read_address(text: str) -> Address:
    """Returns the IP address in a text. For `::ffff:192.0.2.1`, returns 192.0.2.1. Raises ValueError."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Returns whether the sender may connect to an address. `allowed` are networks of the operator."""
    if any(address in network for network in allowed):
        return True
    if isinstance(address, IPv6Address) and (address.scope_id or address not in PUBLIC_IPV6):
        return False
    return not any(address in network for network in REFUSED_NETWORKS)
