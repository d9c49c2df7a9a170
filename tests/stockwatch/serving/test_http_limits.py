"""What one HTTP connection may send, under `rungateway` and under plain `daphne`."""

from contextlib import ExitStack

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.http import Request

from stockwatch.serving import http_limits
from stockwatch.serving.connection_limit import ConnectionLimit
from stockwatch.serving.http_limits import LimitedChannel
from stockwatch.serving.multipart_parts import MAX_PARTS
from tests.support.gateway.process import count_listeners
from tests.support.gateway.raw_socket import dial, upgrade
from tests.support.waiting import wait_until

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module", params=["rungateway", "daphne"])
def gateway(request, run_gateway):
    return run_gateway(request.param)


def make_post(path: str, body: bytes, *headers: str, kind: str = "application/x-www-form-urlencoded") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers]).encode() + b"\r\n\r\n" + body


def request(gateway, data: bytes) -> int:
    with dial(gateway) as client:
        client.send(data)
        return client.read_head()[0]


def test_a_form_is_left_to_django(gateway):
    # Twisted answers 400 if it parses this one. Django refuses the request before it parses anything.
    assert request(gateway, make_post("/sign-in/", b"x", kind="multipart/form-data")) == 403


@pytest.mark.parametrize("path", ["/", "/sign-in/", "/transfer/lists.csv", "/admin/login/"])
def test_a_body_over_the_limit_is_refused_before_it_is_read(gateway, path):
    head, _, _ = make_post(path, b"").partition(b"Content-Length")
    length = f"Content-Length: {http_limits.MAX_BODY_BYTES + 1}\r\n\r\n"
    assert request(gateway, head + length.encode()) == 413


def test_a_refused_client_that_sends_its_whole_body_can_read_the_response(gateway):
    assert request(gateway, make_post("/", b"x" * 4 * http_limits.MAX_BODY_BYTES)) == 413


def test_a_client_that_sends_on_after_a_refusal_is_cut_off(gateway):
    with dial(gateway) as client, pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.send(make_post("/", b"x" * 60 * 2**20))


@pytest.mark.parametrize("path", ["/sign-in/", "/transfer/preview/"])
@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (MAX_PARTS, "multipart/form-data; boundary=b"),
        (MAX_PARTS + 1, "multipart/form-data; boundary=b"),
        (MAX_PARTS + 1, 'Multipart/Form-Data; charset=x; boundary="b"'),
    ],
)
def test_a_multipart_body_of_too_many_parts_is_refused(gateway, path, parts, kind):
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * (parts - 1) + b"--b--\r\n"
    assert (request(gateway, make_post(path, body, kind=kind)) == 413) == (parts > MAX_PARTS)


@pytest.mark.parametrize("path", ["/transfer/preview/", "/transfer/import/?a=b", "/admin/feeds/ticker/import/"])
def test_an_import_may_be_larger(gateway, path):
    assert request(gateway, make_post(path, b"x" * (http_limits.MAX_BODY_BYTES + 1))) != 413
    head, _, _ = make_post(path, b"").partition(b"Content-Length")
    length = f"Content-Length: {http_limits.MAX_UPLOAD_BYTES + 1}\r\n\r\n"
    assert request(gateway, head + length.encode()) == 413


def test_a_chunked_body_over_the_limit_is_refused(gateway):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
    assert request(gateway, head + chunk * (http_limits.MAX_BODY_BYTES // 65536 + 1)) == 413


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("GET /livez HTTP/1.1", id="HTTP/1.1 without Host"),
        pytest.param("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b", id="two hosts"),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", id="chunked twice"
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            id="two transfer encodings",
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", id="encoding and length"
        ),
        pytest.param("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6", id="two lengths"),
    ],
)
def test_a_request_that_servers_read_differently_is_refused(gateway, head):
    assert request(gateway, head.encode() + b"\r\n\r\n") == 400


@pytest.mark.parametrize("value", [b"/evil", b"//evil.example", b"@evil.example", b"/\xff"])
def test_a_client_cannot_name_the_path_below_which_the_site_is(gateway, value):
    with dial(gateway) as client:
        client.send(b"GET /settings/password/ HTTP/1.1\r\nHost: localhost\r\nDaphne-Root-Path: " + value + b"\r\n\r\n")
        status, head = client.read_head()
    assert status == 302
    assert "\r\nlocation: /sign-in/?next=/settings/password/\r\n" in head.lower()


def test_a_kept_connection_serves_pipelined_requests_and_an_upgrade(gateway):
    with dial(gateway) as client:
        client.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        statuses = [client.read_head()[0]]
        while b"\r\n\r\n" not in client._unread:
            client._unread += client.sock.recv(65536)
        statuses.append(200 if b"HTTP/1.1 200" in client._unread else 0)
    assert statuses == [200, 200]
    with upgrade(gateway) as client:
        client.send_text('{"action":"ping"}')
        assert "pong" in client.read_text()


@pytest.mark.parametrize("path", ["/evil", "/sign-in/?next=evil", "/evil%0aline", "/ws/evil"])
def test_the_log_contains_no_text_of_a_request(gateway, path):
    request(gateway, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    request(gateway, b"EVIL / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert "evil" not in gateway.log.read_text().lower()
    assert "Traceback" not in gateway.log.read_text()


@pytest.mark.parametrize("command", ["rungateway", "daphne"])
def test_an_address_with_too_many_http_connections_is_refused_until_one_ends(run_gateway, command):
    gateway = run_gateway(command, GATEWAY_MAX_HTTP_PER_ADDRESS="3")
    with ExitStack() as stack:
        idle = [stack.enter_context(dial(gateway)) for _ in range(3)]
        with dial(gateway) as refused:
            status, head = refused.read_head()
        assert (status, "Connection: close" in head) == (503, True)
        idle[0].sock.close()
        wait_until(lambda: request(gateway, LIVEZ) == 200)


def test_the_limit_on_http_connections_of_an_address_holds_over_all_processes(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_PROCESSES="2", GATEWAY_MAX_HTTP_PER_ADDRESS="6")
    wait_until(lambda: count_listeners(gateway) == 2)
    with ExitStack() as stack:
        answered = []
        for _ in range(12):
            client = stack.enter_context(dial(gateway))
            client.send(LIVEZ)
            answered.append(client.read_head()[0])
    assert answered == [200] * 6 + [503] * 6


def test_open_sockets_are_no_http_connections(run_gateway):
    gateway = run_gateway("daphne", GATEWAY_MAX_HTTP_PER_ADDRESS="1")
    with upgrade(gateway), upgrade(gateway):
        assert request(gateway, LIVEZ) == 200


def test_connections_of_trusted_proxies_are_not_limited(run_gateway):
    gateway = run_gateway("daphne", GATEWAY_MAX_HTTP_PER_ADDRESS="1", GATEWAY_TRUSTED_PROXIES="127.0.0.1")
    with dial(gateway), dial(gateway):
        assert request(gateway, LIVEZ) == 200


class Connection:
    """A channel on a transport in memory. Its clock stands still until a test advances it."""

    def __init__(self, limit: ConnectionLimit = http_limits.NO_LIMIT, peer: object = None) -> None:
        self.clock, self.transport, self.channel = Clock(), StringTransport(peerAddress=peer), LimitedChannel(limit)
        self.channel.callLater = self.clock.callLater
        self.channel.requestFactory = StubRequest
        self.channel.makeConnection(self.transport)

    @property
    def ended(self) -> bool:
        return self.transport.disconnecting or self.transport.disconnected


class StubRequest(Request):
    """A request that is answered when a test calls `finish`."""

    def process(self) -> None: ...


def test_a_connection_without_a_byte_is_dropped():
    connection = Connection()
    connection.clock.advance(http_limits.FIRST_BYTE_SECONDS - 0.1)
    assert not connection.ended
    connection.clock.advance(0.2)
    assert connection.ended
    assert connection.transport.value() == b""


@pytest.mark.parametrize(
    ("start", "limit"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", http_limits.HEAD_SECONDS),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", http_limits.BODY_SECONDS),
    ],
    ids=["headers", "body"],
)
def test_a_request_that_arrives_byte_by_byte_is_dropped_at_a_deadline(start, limit):
    connection = Connection()
    connection.channel.dataReceived(start)
    for _ in range(int(limit) + 1):
        assert not connection.transport.value()
        connection.channel.dataReceived(b"x")
        connection.clock.advance(0.99)
    connection.clock.advance(1)
    assert connection.transport.value().startswith(b"HTTP/1.1 408 ")


def test_a_kept_connection_may_be_silent_longer_than_a_new_one():
    connection = Connection()
    connection.channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.clock.advance(1000)
    connection.channel.requests[0].finish()
    connection.clock.advance(http_limits.IDLE_SECONDS - 0.1)
    assert not connection.ended
    connection.clock.advance(0.2)
    assert connection.ended


def test_far_too_many_connections_are_ended_without_a_response():
    limit, peer = ConnectionLimit(1, ()), IPv4Address("TCP", "192.0.2.1", 1)
    first, second, third = (Connection(limit, peer) for _ in range(3))
    assert not first.ended
    assert second.transport.value().startswith(b"HTTP/1.1 503 ")
    assert third.transport.value() == b""
    assert third.ended


def test_connections_without_an_address_are_not_limited():
    limit = ConnectionLimit(1, ())
    assert not any(Connection(limit, UNIXAddress(b"/run/proxy.sock")).ended for _ in range(3))
