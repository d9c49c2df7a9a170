import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from stockwatch.probe import is_healthy


class StatusHandler(BaseHTTPRequestHandler):
    """Answers with the status in the path, and records the request's Host header."""

    def do_GET(self):
        self.server.hosts.append(self.headers["Host"])
        self.send_response(int(self.path[1:]))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), StatusHandler) as server:
        server.hosts = []
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, True), (204, False), (302, False), (400, False), (404, False), (500, False), (503, False)],
)
def test_only_status_200_is_healthy(server: HTTPServer, status: int, expected: bool):
    assert is_healthy(f"http://127.0.0.1:{server.server_port}/{status}") is expected
    assert server.hosts == ["localhost"]


def test_the_host_header_can_be_chosen(server: HTTPServer):
    assert is_healthy(f"http://127.0.0.1:{server.server_port}/200", host_header="stocks.example.org")
    assert server.hosts == ["stocks.example.org"]


def test_a_closed_port_is_not_healthy():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert not is_healthy(f"http://127.0.0.1:{port}/readyz")
