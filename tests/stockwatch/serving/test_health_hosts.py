"""Health checks by the address of a container, while ALLOWED_HOSTS names the site only."""

import pytest

from tests.support.gateway.raw_socket import dial


@pytest.fixture(scope="module", params=["prices.example", ".prices.example", "*"])
def gateway(request, run_gateway):
    return run_gateway("daphne", ALLOWED_HOSTS=request.param)


@pytest.mark.parametrize("host", ["10.1.2.3:8081", "[fd00::1]:8081", "gateway", "a_b", "x" * 300])
@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_health_checks_and_metrics_answer_under_any_host(gateway, path, host):
    with dial(gateway) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert client.read_head()[0] == 200


def test_other_paths_answer_under_allowed_hosts_only(run_gateway):
    gateway = run_gateway("daphne", ALLOWED_HOSTS="prices.example")
    with dial(gateway) as client:
        client.send(b"GET /sign-in/ HTTP/1.1\r\nHost: 10.1.2.3\r\n\r\n")
        assert client.read_head()[0] == 400
