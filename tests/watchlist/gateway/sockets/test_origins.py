import pytest

from watchlist.gateway.sockets.origins import allows_origin, is_own_origin


@pytest.mark.parametrize(
    ("origin", "allowed", "passes"),
    [
        (None, ["https://a.example"], True),
        ("https://a.example", ["https://a.example"], True),
        ("https://a.example", ["*"], True),
        ("https://a.example", [], True),
        ("https://a.example.evil.test", ["https://a.example"], False),
        ("http://a.example", ["https://a.example"], False),
        ("https://a.example:444", ["https://a.example"], False),
        ("null", ["https://a.example"], False),
        ("", ["https://a.example"], False),
    ],
)
def test_an_origin_must_match_exactly(origin, allowed, passes):
    assert allows_origin(origin, allowed) is passes


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("https://prices.example", True),
        ("https://named.example", True),
        ("https://evil.example", False),
        ("https://prices.example.evil.test", False),
        ("null", False),
        (None, False),
    ],
)
def test_only_own_and_named_origins_may_read_private_data(origin, own):
    assert is_own_origin(origin, "prices.example", ["*", "https://named.example"]) is own


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("https://prices.example", "Prices.Example:443", True),
        ("http://prices.example", "prices.example:80", True),
        ("http://prices.example", "prices.example:443", False),
        ("https://prices.example:8443", "prices.example:8443", True),
        ("https://prices.example", "prices.example:8443", False),
        ("http://[::1]:8081", "[::1]:8081", True),
    ],
)
def test_the_host_is_compared_without_case_and_default_port(origin, host, own):
    assert is_own_origin(origin, host, []) is own
