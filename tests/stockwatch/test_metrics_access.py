import pytest

from stockwatch.metrics_access import may_see_metrics

ALLOWED = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "fc00::/7"]


@pytest.mark.parametrize(
    ("peer", "headers", "trusted", "allowed"),
    [
        ("127.0.0.1", {}, [], True),
        ("::1", {}, [], True),
        ("::ffff:10.1.2.3", {}, [], True),
        ("fd00::7", {}, [], True),
        ("203.0.113.7", {}, [], False),
        ("2001:db8::1", {}, [], False),
        ("", {}, [], False),
        ("no address", {}, [], False),
        # Behind a trusted proxy, the client counts.
        ("10.0.0.2", {"HTTP_X_FORWARDED_FOR": "10.9.9.9"}, ["10.0.0.2"], True),
        ("10.0.0.2", {"HTTP_X_FORWARDED_FOR": "203.0.113.7"}, ["10.0.0.2"], False),
        ("10.0.0.2", {"HTTP_X_FORWARDED_FOR": "10.9.9.9, 203.0.113.7"}, ["10.0.0.2"], False),
        ("203.0.113.2", {}, ["203.0.113.2"], False),
        ("10.0.0.2", {"HTTP_X_FORWARDED_FOR": "10.0.0.2"}, ["10.0.0.2"], True),
        # A trusted proxy whose client is not known may hide anybody, although it is near itself.
        ("10.0.0.2", {"HTTP_X_FORWARDED_FOR": "unknown"}, ["10.0.0.0/8"], False),
        ("10.0.0.2", {"HTTP_X_FORWARDED_FOR": "_hidden, 10.0.0.3"}, ["10.0.0.0/8"], False),
        ("10.0.0.2", {"HTTP_X_FORWARDED_FOR": "203.0.113.7:123456, 10.0.0.3"}, ["10.0.0.0/8"], False),
        ("10.0.0.2", {"HTTP_X_FORWARDED_FOR": ""}, ["10.0.0.2"], False),
        ("10.0.0.2", {"HTTP_X_FORWARDED_FOR": " "}, ["10.0.0.2"], False),
        ("10.0.0.2", {"HTTP_FORWARDED": "for=203.0.113.7"}, ["10.0.0.2"], False),
        ("10.0.0.2", {"HTTP_X_REAL_IP": "203.0.113.7"}, ["10.0.0.2"], False),
        ("10.0.0.2", {}, ["10.0.0.2"], True),
        # A proxy that is not trusted may hide anybody.
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, [], False),
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": ""}, [], False),
        ("127.0.0.1", {"HTTP_FORWARDED": "for=127.0.0.1"}, [], False),
        ("127.0.0.1", {"HTTP_X_REAL_IP": "127.0.0.1"}, ["10.0.0.2"], False),
    ],
)
def test_metrics_are_shown_to_near_clients_only(peer: str, headers: dict[str, str], trusted: list[str], allowed: bool):
    assert may_see_metrics({"REMOTE_ADDR": peer, **headers}, ALLOWED, trusted) is allowed
