import socket
from urllib.request import ProxyHandler, build_opener

import prometheus_client
import pytest

from feeds import metrics
from feeds.metrics import serve_metrics
from stockwatch.local.redis_server import RedisServer, free_port


def test_port_0_starts_no_server(monkeypatch: pytest.MonkeyPatch):
    started: list[int] = []
    monkeypatch.setattr(metrics, "start_http_server", started.append)
    serve_metrics(0, "PROCESSOR_METRICS_PORT")

    assert started == []


def test_a_port_serves_the_metrics(monkeypatch: pytest.MonkeyPatch):
    servers = []
    monkeypatch.setattr(
        metrics,
        "start_http_server",
        lambda port: servers.append(prometheus_client.start_http_server(port, "127.0.0.1")),
    )
    port = free_port()
    serve_metrics(port, "PROCESSOR_METRICS_PORT")
    try:
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
            text = response.read().decode()
    finally:
        server, thread = servers[0]
        server.shutdown()
        server.server_close()
        thread.join()

    assert "stockwatch_processor_read_total" in text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_in_use_exits_with_the_variable_to_change(redis_server: RedisServer):
    with pytest.raises(SystemExit, match=f"PROCESSOR_METRICS_PORT={redis_server.port} cannot be used"):
        serve_metrics(redis_server.port, "PROCESSOR_METRICS_PORT")
