"""The page without a connection, without Redis, in a hidden tab, and paused."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import cell, expect_status, ignore_connection_errors, set_hidden, symbols_on
from tests.support.browser.site import Site
from tests.support.proxies.black_hole import BlackHoleProxy
from tests.support.waiting import wait_until
from watchlist.gateway.deflate.offers import ANSWER

pytestmark = pytest.mark.browser

RECORD_SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket { constructor(...given) { super(...given); sockets.push(this); } };
"""
"""A script. After this script has run, `sockets` holds all sockets of the page."""


def test_the_page_reports_a_killed_gateway_and_reconnects_without_a_reload(
    site: Site, page: Page, browser_errors: list[str]
):
    site.publish("AAPL", 200.0)
    expect_status(page, "live", "Live")
    page.evaluate("window.neverReloaded = true")
    site.kill_server()
    expect_status(page, "waiting", "Reconnecting")
    expect(page.locator("#status small")).to_have_text(re.compile(r"in \d s|now"))
    site.publish("AAPL", 210.0)
    site.start_server()
    expect(page.locator("#status")).to_have_attribute("data-state", re.compile("live|stale"), timeout=60_000)
    expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    site.publish("AAPL", 220.0)
    expect(cell(page, "AAPL", "last")).to_have_text("220.00")
    assert page.evaluate("window.neverReloaded")
    ignore_connection_errors(browser_errors)


def test_a_page_whose_link_is_cut_silently_says_so_and_recovers_without_a_reload(
    site: Site, open_page: Callable[..., Page], browser_errors: list[str]
):
    site.publish("AAPL", 200.0)
    with BlackHoleProxy(("127.0.0.1", site.port)) as link:
        page = open_page("/livez")
        page.clock.install()
        page.goto(f"http://{link.address}/")
        expect_status(page, "live", "Live")
        page.evaluate("window.neverReloaded = true")
        link.swallow(catch_new=True)
        site.publish("AAPL", 210.0)
        # The page sends a ping within 15 s, and waits 10 s for the reply.
        page.clock.run_for(26_000)
        expect(page.locator("#status span")).to_have_text(re.compile("Reconnecting|Offline|Connecting"))
        expect(cell(page, "AAPL", "last")).to_have_text("200.00")
        link.recover()
        # An attempt that began before may wait 10 s for its reply.
        page.clock.run_for(16_000)
        expect(cell(page, "AAPL", "last")).to_have_text("210.00")
        expect(page.locator("#status")).to_have_attribute("data-state", re.compile("live|stale"))
        assert page.evaluate("window.neverReloaded")
        page.close()
    ignore_connection_errors(browser_errors)


def test_the_browser_negotiates_compression_by_itself(site: Site, open_page: Callable[..., Page]):
    page = open_page("/livez")
    page.add_init_script(RECORD_SOCKETS)
    page.goto("/")
    expect_status(page, "stale", "No prices yet")
    assert page.evaluate("sockets.map(socket => socket.extensions)") == [ANSWER]
    symbols, price = symbols_on(page), 100.0

    def publish_all() -> bool:
        """Publishes until compressed frames were sent: a busy gateway sends a single page plain frames."""
        nonlocal price
        price += 1
        for symbol in symbols:
            site.publish(symbol, price)
        return site.metric("compression_output_bytes_total") > 0

    wait_until(publish_all)
    for symbol in symbols:
        site.publish(symbol, 500.0)
    for symbol in symbols:
        expect(cell(page, symbol, "last")).to_have_text(re.compile(r"^500\."))


WATCH_STATUS = """
() => {
  const label = document.querySelector("#status span");
  window.labels = [];
  const options = { childList: true, characterData: true, subtree: true };
  new MutationObserver(() => window.labels.push(label.textContent)).observe(label, options);
}
"""


@pytest.fixture
def rotating_site(site: Site) -> Iterator[Site]:
    """A site that closes each socket after a second or less."""
    site.kill_server()
    site.start_server(GATEWAY_MAX_AGE="1s")
    yield site
    site.kill_server()
    site.start_server()


def test_a_page_whose_socket_is_rotated_shows_every_price_and_no_message(
    rotating_site: Site, open_page: Callable[..., Page]
):
    price = 200.0
    rotating_site.publish("AAPL", price)
    page = open_page()
    expect_status(page, "live", "Live")
    page.evaluate(WATCH_STATUS)
    while not re.search(r"^stockwatch_rotated_total [3-9]", page.request.get("/metrics").text(), re.MULTILINE):
        price += 1.0
        rotating_site.publish("AAPL", price)
        expect(cell(page, "AAPL", "last")).to_have_text(f"{price:.2f}")
    assert set(page.evaluate("window.labels")) <= {"Live"}
    page.close()


def test_a_page_that_was_loaded_without_redis_shows_prices_after_redis_returns(
    site: Site, open_page: Callable[..., Page]
):
    site.stop_redis()
    page = open_page()
    expect(page.get_by_text("Prices are not available right now")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(12)
    site.start_redis()
    site.publish("AAPL", 200.0)
    expect(cell(page, "AAPL", "last")).to_have_text("200.00", timeout=60_000)
    expect(page.get_by_text("Prices are not available right now")).to_have_count(0)


def test_a_paused_page_shows_no_updates_and_resumes_with_the_newest_price(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    expect_status(page, "live", "Live")
    page.keyboard.press("p")
    expect_status(page, "paused", "Paused")
    site.publish("AAPL", 201.0)
    site.publish("AAPL", 202.0)
    expect(page.locator("#status small")).not_to_have_text("< 1 s")
    expect(cell(page, "AAPL", "last")).to_have_text("200.00")
    page.get_by_role("button", name="Resume").click()
    expect(cell(page, "AAPL", "last")).to_have_text("202.00")


def test_a_hidden_tab_receives_no_updates_and_is_current_after_it_returns(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    expect_status(page, "live", "Live")
    set_hidden(page, True)
    site.wait_until_unsubscribed("AAPL")
    site.publish("AAPL", 210.0)
    set_hidden(page, False)
    expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    expect_status(page, "live", "Live")
