"""Streams, for pages in networks that block WebSockets. All pages of a browser share one stream."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser.axe import violations_on
from tests.support.browser.page import (
    CONNECTION_ERRORS,
    DESKTOP,
    PHONE,
    cell,
    expect_status,
    row_of,
    rows_of,
    set_hidden,
)
from tests.support.browser.site import Site
from tests.support.proxies.filtering_proxy import FilteringProxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

CUT = "Failed to load resource: net::ERR_"
BLOCKED = (*CONNECTION_ERRORS, "Failed to load resource: the server responded with a status of 403", CUT)
SILENT_SOCKETS = """
WebSocket = class {
  static OPEN = 1;
  readyState = 1;
  constructor() { setTimeout(() => this.onopen?.()); }
  send() {}
  close() {}
};
"""
"""A script after which sockets open, but bring nothing."""
ONLINE = "dispatchEvent(new Event('online'))"


@pytest.fixture
def proxy(site: Site) -> Iterator[FilteringProxy]:
    """A proxy in front of the site that refuses WebSockets."""
    site.publish("AAPL", 200.0)
    proxy = FilteringProxy(("127.0.0.1", site.port))
    proxy.sockets = "refuse"
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def running_site() -> Iterator[Site]:
    """A site whose prices stay fresh for an hour, because a busy machine may need long for a page."""
    with Site(stale_after="1h") as site:
        yield site


@pytest.fixture
def open_blank(browser: Browser, proxy: FilteringProxy) -> Iterator[Callable[..., Page]]:
    """Opens an empty page in a new browser context. At the end no page may have reported another error than blocks."""
    contexts, errors = [], []

    def open_blank(**options) -> Page:
        contexts.append(browser.new_context(base_url=proxy.url, **options))
        contexts[-1].set_default_timeout(60_000)
        contexts[-1].on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        contexts[-1].on("weberror", lambda error: errors.append(str(error.error)))
        return contexts[-1].new_page()

    yield open_blank
    for context in contexts:
        context.close()
    assert [text for text in errors if not text.startswith(BLOCKED)] == []


@pytest.fixture
def open_behind_proxy(open_blank: Callable[..., Page]) -> Callable[..., Page]:
    def open_behind_proxy(**options) -> Page:
        page = open_blank(**options)
        page.goto("/")
        return page

    return open_behind_proxy


def open_beside(page: Page, path: str = "/") -> Page:
    """Opens another page in the same browser context."""
    other = page.context.new_page()
    other.goto(path)
    return other


@pytest.fixture
def stream_page(open_behind_proxy: Callable[..., Page]) -> Page:
    """A page that has a stream."""
    page = open_behind_proxy()
    expect_status(page, "live", "Live by stream")
    return page


def expect_price(site: Site, price: float, *pages: Page) -> None:
    """Publishes a price, and waits until the pages show it."""
    site.publish("AAPL", price)
    for page in pages:
        expect(cell(page, "AAPL", "last")).to_have_text(f"{price:.2f}")


def expect_live_by_stream_after_4_seconds(site: Site, page: Page) -> None:
    """Opens a page whose clock is a fake, and moves the clock by 4 s."""
    page.goto("/")
    page.clock.run_for(4_000)
    expect_status(page, "live", "Live by stream")
    expect_price(site, 210.0, page)


def wait_for_streams(site: Site, count: int) -> None:
    wait_until(lambda: site.metric("streams") == count, what=f"{count} streams")


def test_a_page_whose_sockets_are_refused_is_live_by_a_stream(site: Site, stream_page: Page):
    expect_price(site, 210.0, stream_page)
    wait_until(lambda: site.metric("streams") == site.metric("connections") == 1)


def test_a_page_whose_sockets_are_never_answered_is_live_by_a_stream(
    site: Site, proxy: FilteringProxy, open_blank: Callable[..., Page]
):
    proxy.sockets = "swallow"
    page = open_blank()
    page.clock.install()
    expect_live_by_stream_after_4_seconds(site, page)


def test_a_page_whose_frames_are_swallowed_is_live_by_a_stream(
    site: Site, proxy: FilteringProxy, open_blank: Callable[..., Page]
):
    page = open_blank()
    page.clock.install()
    page.add_init_script(SILENT_SOCKETS)
    expect_live_by_stream_after_4_seconds(site, page)


def test_a_browser_without_shared_workers_opens_a_stream_in_the_page(
    site: Site, proxy: FilteringProxy, open_blank: Callable[..., Page]
):
    page = open_blank()
    page.add_init_script("delete window.SharedWorker")
    page.goto("/")
    expect_status(page, "live", "Live by stream")
    expect_price(site, 210.0, page)
    wait_for_streams(site, 1)


def test_seven_pages_share_one_stream_for_the_symbols_of_all(site: Site, stream_page: Page, proxy: FilteringProxy):
    pages = [stream_page, *(open_beside(stream_page) for _ in range(5)), open_beside(stream_page, "/s/ETH/USD")]
    for page in pages:
        expect_status(page, "live", "Live by stream")
    expect_price(site, 210.0, *pages)
    site.publish("ETH/USD", 4321.0)
    expect(pages[-1].locator("#drawer")).to_contain_text("4,321.00")
    wait_for_streams(site, 1)
    wait_until(lambda: site.metric("subscriptions") == rows_of(stream_page).count() + 1)


def test_the_other_pages_miss_no_price_if_the_first_page_is_closed(
    site: Site, stream_page: Page, proxy: FilteringProxy
):
    other = open_beside(stream_page)
    expect_status(other, "live", "Live by stream")
    stream_page.close()
    expect_price(site, 210.0, other)
    wait_for_streams(site, 1)
    expect_status(other, "live", "Live by stream")
    other.close()
    wait_for_streams(site, 0)


def test_the_other_pages_stay_live_while_the_first_page_is_frozen(site: Site, stream_page: Page):
    other = open_beside(stream_page)
    expect_status(other, "live", "Live by stream")
    lifecycle = stream_page.context.new_cdp_session(stream_page)
    lifecycle.send("Page.setWebLifecycleState", {"state": "frozen"})
    expect_price(site, 210.0, other)
    third = open_beside(other)
    expect_price(site, 220.0, other, third)
    lifecycle.send("Page.setWebLifecycleState", {"state": "active"})
    expect(cell(stream_page, "AAPL", "last")).to_have_text("220.00")
    wait_for_streams(site, 1)


def test_pages_whose_shared_worker_has_died_share_another_one(
    site: Site, browser: Browser, open_blank: Callable[..., Page]
):
    pages = [open_blank()]
    pages[0].context.clock.install()
    pages[0].goto("/")
    pages.append(open_beside(pages[0]))
    for page in pages:
        expect_status(page, "live", "Live by stream")
    targets = browser.new_browser_cdp_session()
    for target in targets.send("Target.getTargets")["targetInfos"]:
        if target["type"] == "shared_worker":
            targets.send("Target.closeTarget", {"targetId": target["targetId"]})
    wait_for_streams(site, 0)
    site.publish("AAPL", 210.0)
    for page in pages:
        page.clock.run_for(15_000)
        expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    expect_price(site, 220.0, *pages)
    wait_for_streams(site, 1)


def test_a_page_shows_the_newest_price_after_its_stream_was_cut(site: Site, proxy: FilteringProxy, stream_page: Page):
    proxy.streams = "refuse"
    proxy.cut_streams()
    wait_for_streams(site, 0)
    site.publish("AAPL", 210.0)
    expect_status(stream_page, "delayed", "Delayed: polling")
    expect(cell(stream_page, "AAPL", "last")).to_have_text("210.00")
    proxy.streams = "pass"
    stream_page.evaluate(ONLINE)
    expect_status(stream_page, "live", "Live by stream")
    expect_price(site, 220.0, stream_page)


def test_a_page_shows_the_newest_price_after_a_restart_of_the_gateway(site: Site, stream_page: Page):
    stream_page.evaluate("window.neverReloaded = true")
    site.kill_server()
    expect_status(stream_page, "waiting", "Reconnecting")
    site.publish("AAPL", 210.0)
    site.start_server()
    expect_status(stream_page, "live", "Live by stream")
    expect(cell(stream_page, "AAPL", "last")).to_have_text("210.00")
    expect_price(site, 220.0, stream_page)
    assert stream_page.evaluate("window.neverReloaded")


@pytest.mark.parametrize("rule", ["refuse", "swallow"])
def test_a_page_polls_if_streams_are_blocked_too(
    site: Site, proxy: FilteringProxy, open_behind_proxy: Callable[..., Page], rule: str
):
    proxy.streams = rule
    page = open_behind_proxy()
    expect_status(page, "delayed", "Delayed: polling")
    expect_price(site, 210.0, page)


def test_a_page_returns_to_the_socket_as_soon_as_it_can_be_opened(site: Site, proxy: FilteringProxy, stream_page: Page):
    proxy.sockets = "pass"
    stream_page.evaluate(ONLINE)
    site.publish("AAPL", 210.0)
    expect_status(stream_page, "live", "Live")
    expect(cell(stream_page, "AAPL", "last")).to_have_text("210.00")
    expect_price(site, 220.0, stream_page)
    wait_for_streams(site, 0)


def test_hidden_pages_hold_no_stream_and_are_current_after_they_return(site: Site, stream_page: Page):
    set_hidden(stream_page, True)
    wait_for_streams(site, 0)
    site.publish("AAPL", 210.0)
    set_hidden(stream_page, False)
    expect(cell(stream_page, "AAPL", "last")).to_have_text("210.00")
    expect_status(stream_page, "live", "Live by stream")


def test_a_paused_page_resumes_with_the_newest_price_of_the_stream(
    site: Site, proxy: FilteringProxy, stream_page: Page
):
    other = open_beside(stream_page)
    stream_page.keyboard.press("p")
    expect_status(stream_page, "paused", "Paused")
    expect_price(site, 210.0, other)
    expect(cell(stream_page, "AAPL", "last")).to_have_text("200.00")
    stream_page.get_by_role("button", name="Resume").click()
    expect(cell(stream_page, "AAPL", "last")).to_have_text("210.00")


def test_a_symbol_that_is_added_on_one_page_has_prices_from_the_same_stream(
    site: Site, proxy: FilteringProxy, stream_page: Page
):
    other = open_beside(stream_page)
    expect_status(other, "live", "Live by stream")
    other.goto("/s/ETH/USD")
    site.publish("ETH/USD", 4321.0)
    expect(other.locator("#drawer")).to_contain_text("4,321.00")
    expect_price(site, 210.0, stream_page, other)
    wait_for_streams(site, 1)


def test_all_pages_show_a_changed_name_of_a_ticker(site: Site, stream_page: Page):
    other = open_beside(stream_page)
    expect_status(other, "live", "Live by stream")
    rename = "from feeds.models import Ticker; Ticker.objects.filter(symbol='AAPL').update(name='{}')"
    try:
        site.manage("shell", "--verbosity", "0", "-c", rename.format("Pear"))
        for page in (stream_page, other):
            expect(row_of(page, "AAPL")).to_contain_text("Pear")
    finally:
        site.manage("shell", "--verbosity", "0", "-c", rename.format("Apple"))
    expect(row_of(other, "AAPL")).to_contain_text("Apple")


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_page_with_a_stream_has_no_violations_of_accessibility_rules(
    open_behind_proxy: Callable[..., Page], options: dict
):
    page = open_behind_proxy(**options)
    expect_status(page, "live", "Live by stream")
    assert violations_on(page) == []
