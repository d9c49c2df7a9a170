import json

import pytest

from stockwatch.serving.public_prices import is_public_host
from tests.support.gateway.database import execute
from tests.support.gateway.process import find_workers

pytestmark = pytest.mark.usefixtures("redis_client")
ALPACA = "UPDATE feeds_ticker SET source = 'alpaca' WHERE symbol = 'AAPL'"


@pytest.mark.parametrize(
    ("host", "public"),
    [
        *((host, False) for host in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]", ".localhost", "a.localhost")),
        *((host, True) for host in ("*", "example.org", ".example.org", "10.0.0.1", "[2001:db8::1]", "localhost.org")),
    ],
)
def test_only_loopback_names_and_addresses_are_not_public(host, public):
    assert is_public_host(host) == public


def warnings_of(gateway):
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if "on a public site" in line]
    return [(line["level"], line["sources"]) for line in lines]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ALLOWED_HOSTS": "127.0.0.1,stocks.example"}, [("warning", ["Alpaca"])]),
        ({"ALLOWED_HOSTS": "127.0.0.1,stocks.example", "PRIVATE": "true"}, []),
        ({"ALLOWED_HOSTS": "127.0.0.1,localhost"}, []),
        ({"ALLOWED_HOSTS": "127.0.0.1,stocks.example", "GATEWAY_VALID_TICKERS": "GOOG"}, []),
    ],
)
def test_a_public_site_with_prices_for_private_use_is_reported_once(make_gateway, variables, expected):
    gateway = make_gateway("rungateway", GATEWAY_PROCESSES="2", **variables)
    execute(gateway, ALPACA)
    gateway.start()
    assert len(find_workers(gateway)) == 2
    assert warnings_of(gateway) == expected
