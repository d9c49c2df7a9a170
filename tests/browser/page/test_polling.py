"""Polling, for pages that can open neither a socket nor a stream."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import (
    BLOCK_SOCKETS,
    BLOCK_STREAMS,
    cell,
    expect_status,
    ignore_connection_errors,
    set_hidden,
)
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser

MANUAL_SOCKETS = """
window.sockets = [];
window.requests = [];
WebSocket = class { constructor() { sockets.push(this); } close() {} };
const realFetch = fetch;
fetch = (...given) => (requests.push(given[0]), realFetch(...given));
"""
"""Script: records sockets, which a test closes, and requests."""


def test_the_page_polls_prices_if_neither_socket_nor_stream_can_be_opened(
    site: Site, open_page: Callable[..., Page], browser_errors: list[str]
):
    site.publish("AAPL", 200.0)
    page = open_page("/livez")
    page.add_init_script(BLOCK_SOCKETS + BLOCK_STREAMS)
    page.goto("/")
    expect_status(page, "delayed", "Delayed: polling")
    site.publish("AAPL", 210.0)
    expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    ignore_connection_errors(browser_errors)


def test_a_hidden_page_does_not_poll(site: Site, open_page: Callable[..., Page], browser_errors: list[str]):
    site.publish("AAPL", 200.0)
    page = open_page("/livez")
    page.clock.install()
    page.add_init_script(BLOCK_SOCKETS + BLOCK_STREAMS)
    page.goto("/")
    expect_status(page, "delayed", "Delayed: polling")
    set_hidden(page, True)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.clock.run_for(20_000)
    site.publish("AAPL", 210.0)
    assert requests == []
    set_hidden(page, False)
    expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    ignore_connection_errors(browser_errors)


def test_a_connection_that_fails_while_the_page_is_hidden_starts_no_polling(open_page: Callable[..., Page]):
    page = open_page("/livez")
    page.clock.install()
    page.add_init_script(MANUAL_SOCKETS)
    page.goto("/")
    for attempt in (1, 2, 3):
        page.wait_for_function("attempt => sockets.length === attempt", arg=attempt)
        if attempt == 3:
            set_hidden(page, True)
            page.evaluate("requests.length = 0")
        page.evaluate("sockets.at(-1).onclose({ code: 1006 })")
        page.clock.run_for(5000)
    assert page.evaluate("requests") == []


def test_the_status_shows_why_the_gateway_refuses_connections(
    site: Site, open_page: Callable[..., Page], browser_errors: list[str]
):
    page = open_page("/livez")
    page.route("**/ws/status", lambda route: route.fulfill(json={"ok": False, "status": 429, "reason": "full"}))
    page.route("**/api/quotes?*", lambda route: route.abort())
    page.add_init_script(BLOCK_SOCKETS + BLOCK_STREAMS)
    page.goto("/")
    expect_status(page, "offline", "Offline")
    expect(page.locator("#status small")).to_have_text("the server is full")
    page.close()  # its polling would go on to report errors
    browser_errors.clear()
