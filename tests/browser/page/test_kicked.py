"""Pages of an account whose connections the operator closes with `manage.py clients --kick`."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.support.browser.page import cell, expect_status, sign_in
from tests.support.browser.site import STAFF, Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

TEXT = "The operator closed this connection"


def test_the_page_of_a_kicked_account_says_so_and_connects_again_only_after_the_refusal(
    site: Site, open_page: Callable[..., Page]
):
    page = open_page("/livez")
    page.clock.install()
    sign_in(page)
    site.publish("AAPL", 200.0)
    expect_status(page, "live", "Live")
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))
    site.manage("clients", "--kick", STAFF, "--for", "10m")
    expect_status(page, "offline", "Offline")
    expect(page.locator("#status small")).to_have_text(TEXT)
    page.clock.run_for(300_000)
    expect(page.locator("#status small")).to_have_text(TEXT)
    assert sockets == []
    new_page = page.context.new_page()
    new_page.goto("/")
    expect(new_page.locator("#status small")).to_have_text(TEXT)
    new_page.close()
    site.manage("clients", "--allow", STAFF)
    # The gateway learns the end of the refusal within a second. An earlier attempt would be refused.
    wait_until(lambda: page.context.request.get(f"{site.address}/ws/status").json()["ok"], 60, "end", 2.0)
    page.clock.run_for(300_000)
    site.publish("AAPL", 210.0)
    expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    assert len(sockets) == 1
