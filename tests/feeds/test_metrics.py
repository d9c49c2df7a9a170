import pytest

from feeds.metrics import serve_metrics
from stockwatch.local.redis_server import RedisServer


def test_without_a_port_nothing_listens():
    serve_metrics(0, "PROCESSOR_METRICS_PORT")


def test_a_port_in_use_ends_the_start_with_the_variable_to_change(redis_server: RedisServer):
    with pytest.raises(SystemExit, match=f"PROCESSOR_METRICS_PORT={redis_server.port} cannot be used"):
        serve_metrics(redis_server.port, "PROCESSOR_METRICS_PORT")
