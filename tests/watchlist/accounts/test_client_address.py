import pytest

from watchlist.accounts.client_address import client_address, is_trusted


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (["127.0.0.1", 5], "127.0.0.1"),
        (("::ffff:10.0.0.1", 5), "10.0.0.1"),
        (["2001:db8::1", 5], "2001:db8::/64"),
        (["not an address", 5], "unknown"),
        (None, "unknown"),
    ],
)
def test_the_address_is_that_of_the_peer(client, address):
    assert client_address(client) == address


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "invented", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, invented", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, invented, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.9,", "10.0.0.1"),
        ("10.0.0.1", "1" * 70, "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4:567:8", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:567", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:567, 10.0.0.2:8080", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::/64"),
        ("10.0.0.1", "[2001:db8::1]:567", "2001:db8::/64"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::/64"),
        ("10.0.0.1", "[::ffff:203.0.113.9]:567", "203.0.113.9"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ],
)
def test_behind_trusted_proxies_the_last_untrusted_address_counts(peer, forwarded, address):
    assert client_address([peer, 5], forwarded, ["10.0.0.0/8"]) == address


def test_a_forwarded_address_is_ignored_if_no_proxy_is_trusted():
    assert client_address(["10.0.0.1", 5], "203.0.113.9") == "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("10.0.0.1", True), ("::ffff:10.0.0.1", True), ("192.0.2.1", False), ("", False), ("x", False)],
)
def test_a_proxy_is_trusted_by_its_network(peer, trusted):
    assert is_trusted(peer, ["10.0.0.0/8"]) is trusted
