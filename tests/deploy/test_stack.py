import socket
import ssl
import time
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support.browser.chromium import launch_browser
from tests.support.browser.page import cell, expect_status
from tests.support.deploy.compose import LONG_RUNNING, ONE_SHOT, SERVICES, Stack
from tests.support.deploy.site import read_numbers, wait_for_prices

pytestmark = pytest.mark.deploy


def test_from_nothing_all_services_become_healthy(stack: Stack):
    states = {name: stack.state(name)["State"] for name in (*LONG_RUNNING, *ONE_SHOT)}
    assert {name: states[name]["Health"]["Status"] for name in LONG_RUNNING} == dict.fromkeys(LONG_RUNNING, "healthy")
    assert {name: states[name]["ExitCode"] for name in ONE_SHOT} == dict.fromkeys(ONE_SHOT, 0)
    assert set(states) == {name for name, service in SERVICES.items() if not service.get("profiles")}


@pytest.mark.browser
def test_the_page_shows_live_prices_through_the_proxy_over_tls(stack: Stack):
    with sync_playwright() as playwright, launch_browser(playwright) as browser:
        page = browser.new_context(ignore_https_errors=True, base_url=f"https://localhost:{stack.port}").new_page()
        sockets: list[str] = []
        errors: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto("/")
        expect_status(page, "live", "Live")
        shown = cell(page, "AAPL", "last").inner_text()
        expect(cell(page, "AAPL", "last")).not_to_have_text(shown)
        assert {url.partition("/ws")[0] for url in sockets} == {f"wss://localhost:{stack.port}"}
        assert errors == []


def test_the_proxy_hides_metrics_and_answers_http_2(stack: Stack):
    trusting = ssl._create_unverified_context()
    trusting.set_alpn_protocols(["h2"])
    for path in ("/metrics", "/readyz"):
        with pytest.raises(OSError, match="404"):
            urlopen(f"https://localhost:{stack.port}{path}", timeout=60, context=ssl._create_unverified_context())
    address = ("localhost", stack.port)
    connection = trusting.wrap_socket(socket.create_connection(address, 60), server_hostname="localhost")
    assert connection.selected_alpn_protocol() == "h2"
    connection.close()


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_container_is_confined(stack: Stack, name: str):
    state = stack.state(name)
    host = state["HostConfig"]
    user, written = stack.run(name, "sh", "-c", "id -u; touch /etc/written 2>/dev/null || echo denied").split()
    assert user != "0"
    assert written == "denied"
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert 0 < host["Memory"] <= 2**30
    assert 0 < host["PidsLimit"] <= 1024
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_killed_container_heals(stack: Stack, name: str):
    started = stack.state(name)["State"]["StartedAt"]
    killed = time.monotonic()
    stack.kill(name)
    stack.wait_for_restart(name, started)
    stack.wait_until_healthy()
    healthy = time.monotonic() - killed
    wait_for_prices(stack)
    print(f"{name} killed: all healthy after {healthy:.0f} s, new prices after {time.monotonic() - killed:.0f} s")


NAMES = """
from django.contrib.auth.models import User
print(sorted(User.objects.values_list("username", flat=True)))
"""


def test_down_and_up_keeps_accounts_prices_and_the_certificate(stack: Stack):
    stack.run(
        "web", "python", "manage.py", "createsuperuser", "--no-input", "--username", "keeper", "--email", "k@e.org"
    )
    certificate = stack.run("proxy", "cat", "/certificate/certificate.pem")
    before = read_numbers(stack)
    stack.down()
    assert stack.compose("ps", "--all", "--quiet").stdout == ""
    stack.up()
    assert "keeper" in stack.shell(NAMES)
    assert stack.run("proxy", "cat", "/certificate/certificate.pem") == certificate
    wait_for_prices(stack)
    after = read_numbers(stack)
    assert all(after[symbol] > number for symbol, number in before.items())
