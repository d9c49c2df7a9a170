"""The documented nginx.conf in a real nginx: TLS, HTTP/2, sockets, streams, forwarded addresses, timeouts, logs."""

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.gateway.process import receive_frame
from tests.support.servers.nginx import DOCUMENTS, ORIGIN, ProxiedSite
from tests.support.waiting import wait_until

NGINX_TIMEOUT_SECONDS = 8
SUBSCRIBE = json.dumps({"action": "subscribe", "payload": {"symbols": ["AAPL"]}})


def open_socket(site: ProxiedSite, origin: str = ORIGIN) -> ClientConnection:
    url = f"wss://localhost:{site.nginx.port}/ws"
    return connect(url, ssl=site.nginx.tls, address=("127.0.0.1", site.nginx.port), open_timeout=60, origin=origin)


@contextmanager
def open_stream(site: ProxiedSite, query: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPSConnection("localhost", site.nginx.port, timeout=60, context=site.nginx.tls)
    with closing(connection):
        connection.request("GET", f"/stream?symbols=AAPL{query}")
        with connection.getresponse() as answer:
            yield answer


def test_plain_http_leads_to_https(proxied_site: ProxiedSite):
    with closing(http.client.HTTPConnection("127.0.0.1", proxied_site.nginx.plain_port, timeout=60)) as connection:
        connection.request("GET", "/alerts/?x=1", headers={"Host": "localhost"})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Location"]) == (301, "https://localhost/alerts/?x=1")


def test_a_page_comes_over_http_2_and_knows_that_it_came_over_https(proxied_site: ProxiedSite):
    page = proxied_site.nginx.curl("/", "--http2")
    assert page.startswith("HTTP/2 200")
    assert "strict-transport-security: max-age=3600" in page
    assert "server: nginx\r" in page or "server: nginx\n" in page
    assert '<meta property="og:url" content="https://localhost/">' in page
    assert "upgrade-insecure-requests" in page


def test_cookies_are_for_https_only(proxied_site: ProxiedSite):
    head = proxied_site.nginx.curl("/sign-in/").partition("\r\n\r\n")[0].lower()
    [cookie] = [line for line in head.splitlines() if line.startswith("set-cookie: csrftoken")]
    assert "; secure" in cookie


def test_static_files_are_compressed_and_pages_are_not(proxied_site: ProxiedSite):
    for path, expected in (("/static/watchlist/main.js", True), ("/static/watchlist/page.css", True), ("/", False)):
        head = proxied_site.nginx.curl(
            path, "--head", "--http1.1", "--header", "Accept-Encoding: gzip", "--request", "GET"
        )
        assert ("Content-Encoding: gzip" in head) is expected, path


def test_the_address_of_the_client_arrives_and_a_forged_one_does_not(proxied_site: ProxiedSite):
    allowed = proxied_site.nginx.curl("/metrics", "--interface", "127.0.0.3", "--http1.1")
    assert allowed.startswith("HTTP/1.1 200")
    for forged in ("127.0.0.3", "127.0.0.3, 127.0.0.1"):
        options = ["--interface", "127.0.0.2", "--http1.1", "--header", f"X-Forwarded-For: {forged}"]
        assert proxied_site.nginx.curl("/metrics", *options).startswith("HTTP/1.1 403")


def test_sockets_and_their_status_come_from_the_gateways(proxied_site: ProxiedSite):
    with open_socket(proxied_site) as client:
        client.send(SUBSCRIBE)
        assert receive_frame(client)["type"] == "ack"
        update = proxied_site.web.publish("AAPL", 101.0)
        while receive_frame(client).get("seq_id") != update.seq_id:
            pass
    status, body = proxied_site.nginx.get("/ws/status")
    assert (status, json.loads(body)["ok"]) == (200, True)


def test_pages_of_other_sites_open_no_socket(proxied_site: ProxiedSite):
    with pytest.raises(InvalidStatus, match="403"):
        open_socket(proxied_site, "https://evil.example.org")


def test_a_silent_socket_outlives_the_timeouts_of_nginx(proxied_site: ProxiedSite):
    with open_socket(proxied_site) as client:
        client.send(SUBSCRIBE)
        receive_frame(client)
        with open_stream(proxied_site, "&heartbeat=1") as beating:
            with open_stream(proxied_site, "") as silent, pytest.raises(http.client.IncompleteRead):
                silent.read()  # nginx ends a response that sends nothing for its timeout
            update = proxied_site.web.publish("AAPL", 102.0)
            while f'"seq_id":{update.seq_id}'.encode() not in (line := beating.readline()):
                assert line, "the stream with heartbeats ended"
        while receive_frame(client).get("seq_id") != update.seq_id:
            pass


def test_the_log_names_requests_and_hides_secret_addresses(proxied_site: ProxiedSite):
    token = "0123456789abcdef" * 2
    proxied_site.nginx.get(f"/shared/{token}?list=secret")
    proxied_site.nginx.get(f"/settings/delivery/stop/{token}")
    file = proxied_site.nginx.folder / "nginx-access.log"
    wait_until(lambda: "/settings/delivery/stop/..." in file.read_text(), 60, "a line about the request")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    line = next(line for line in lines if line["uri"] == "/shared/...")
    assert (line["method"], line["client"], len(line["request"])) == ("GET", "127.0.0.1", 32)
    assert token not in file.read_text()
    assert "secret" not in file.read_text()


def test_the_documented_rotation_moves_the_log_and_nginx_writes_a_new_one(proxied_site: ProxiedSite):
    program = shutil.which("logrotate", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("needs logrotate")
    folder = proxied_site.nginx.folder
    proxied_site.nginx.get("/livez")
    # nginx writes the line after the answer.
    wait_until(lambda: "livez" in (folder / "nginx-access.log").read_text(), 60, "a line in the old log")
    rules = folder / "rules"
    text = (DOCUMENTS / "logrotate.conf").read_text()
    for old, new in {"/var/log/stockwatch": str(folder), "/run/nginx.pid": f"{folder}/nginx.pid"}.items():
        assert old in text
        text = text.replace(old, new)
    rules.write_text(text)
    rules.chmod(0o644)
    subprocess.run([program, "--force", "--state", str(folder / "state"), str(rules)], check=True, timeout=60)
    assert "livez" in (folder / "nginx-access.log.1").read_text()
    wait_until(lambda: (folder / "nginx-access.log").exists(), 60, "a new log")
    proxied_site.nginx.get("/no-such-page/")
    wait_until(lambda: "/no-such-page/" in (folder / "nginx-access.log").read_text(), 60, "a line in the new log")
