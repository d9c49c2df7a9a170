import pytest

from stockwatch.management.commands.runstack import make_plan


@pytest.mark.parametrize(
    ("allowed_hosts", "host_header"),
    [
        (["localhost", "127.0.0.1"], "localhost"),
        (["stocks.example.org"], "stocks.example.org"),
        (["*", ".example.org"], "example.org"),
        (["*"], "localhost"),
    ],
)
def test_health_checks_send_a_host_name_that_is_allowed(settings, allowed_hosts: list[str], host_header: str):
    settings.ALLOWED_HOSTS = allowed_hosts
    assert make_plan(frozenset({"redis"}), "127.0.0.1", {}).host_header == host_header
