from ipaddress import ip_network

import pytest

from watchlist.alerts.delivery.webhooks.addresses import is_allowed, read_address
from watchlist.alerts.delivery.webhooks.webhook_url import MAX_URL_LENGTH, check_webhook_url
from watchlist.errors import BadTarget

PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "2606:4700::1111"]
REFUSED = [
    *("127.0.0.1", "127.255.0.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1"),
    *("169.254.169.254", "100.64.0.1", "100.127.255.255", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1"),
    *("192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "100::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "::8.8.8.8"),
    *("64:ff9b::a00:1", "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "3fff::1"),
    *("2606:4700::1111%eth0", "168.63.129.16"),
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_allowed(text):
    assert is_allowed(read_address(text), ())


@pytest.mark.parametrize("text", REFUSED)
def test_all_other_addresses_are_refused(text):
    assert not is_allowed(read_address(text), ())


def test_an_ipv4_address_inside_an_ipv6_address_is_judged_as_such():
    assert is_allowed(read_address("::ffff:8.8.8.8"), ())
    assert is_allowed(read_address("::ffff:10.1.0.1"), [ip_network("10.1.0.0/16")])


def test_the_operator_can_allow_a_network():
    allowed = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    assert is_allowed(read_address("10.1.2.3"), allowed)
    assert is_allowed(read_address("fd00::5"), allowed)
    assert not is_allowed(read_address("10.2.0.1"), allowed)
    assert is_allowed(read_address("8.8.8.8"), allowed)


@pytest.mark.parametrize(
    "url", ["https://example.org", "http://example.org:8080/a?b=c", "https://8.8.8.8/x", "https://[2606:4700::1111]/x"]
)
def test_a_url_is_accepted(url):
    assert check_webhook_url(f" {url} ", ()) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "begins with https"),
        ("example.org", "begins with https"),
        ("ftp://example.org", "begins with https"),
        ("file:///etc/passwd", "begins with https"),
        ("https://", "begins with https"),
        ("https:///x", "begins with https"),
        ("https://user:word@example.org", "user name"),
        ("https://@example.org", "user name"),
        ("https://example.org:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://exa mple.org", "spaces"),
        ("https://example.org/\r\nHost: x", "spaces"),
        ("https://exämple.org/", "special characters"),
        ("https://example.org\\@10.0.0.1/", "special characters"),
        ("https://example.org/" + "x" * MAX_URL_LENGTH, "1000 characters"),
        ("https://10.0.0.1/", "10.0.0.1 is not a public address"),
        ("http://169.254.169.254/latest/meta-data", "not a public address"),
        ("https://[::ffff:127.0.0.1]/", "127.0.0.1 is not a public address"),
        ("http://localhost:8081/", "this machine"),
    ],
)
def test_a_url_is_refused_with_a_reason(url, reason):
    with pytest.raises(BadTarget, match=reason):
        check_webhook_url(url, ())


def test_an_allowed_network_may_be_this_machine():
    allowed = [ip_network("127.0.0.0/8")]
    assert check_webhook_url("http://127.0.0.1:9/x", allowed)
    assert check_webhook_url("http://localhost:9/x", allowed)
