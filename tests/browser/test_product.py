"""What a person does with the page, by mouse, by keyboard, in two tabs, with and without a network."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser.market import put_bars
from tests.support.browser.page import LOST, cell, expect_state, remove, row_of, sign_in
from tests.support.browser.site import ROOT, STAFF, Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

NO_SOCKET = "WebSocket = class { constructor() { setTimeout(() => this.onclose({code: 1006})); } close() {} };"
FAILING_TRIES = """
window.tries = [];
window.asked = [];
WebSocket = class { constructor() { tries.push(this); } close() {} };
const ask = fetch;
fetch = (...given) => (asked.push(given[0]), ask(...given));
"""
DESK = {"viewport": {"width": 1360, "height": 900}}


def symbols_on(page: Page) -> list[str]:
    return page.locator("#quotes tbody tr").evaluate_all("rows => rows.map(row => row.dataset.symbol)")


def expect_first(page: Page, *symbols: str) -> None:
    for place, symbol in enumerate(symbols):
        expect(page.locator("#quotes tbody tr").nth(place)).to_have_attribute("data-symbol", symbol)


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Lists").get_by_role("link", name=name)


def hide(page: Page, hidden: bool) -> None:
    """As a browser does with a tab that is put behind another one."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def open_list(page: Page, name: str) -> None:
    page.get_by_title("New list").click()
    page.get_by_label("Name of the new list").fill(name)
    page.get_by_role("button", name="Create").click()
    expect(tab(page, name)).to_have_attribute("aria-current", "page")


def test_lists_are_made_renamed_and_deleted_without_a_reload(site: Site, page: Page):
    site.publish("BTC/USD", 98000.0)
    page.evaluate("window.neverReloaded = true")
    open_list(page, "Coins")
    expect(page).to_have_title("Coins · simulated prices · stockwatch")
    page.keyboard.press("/")
    page.keyboard.type("BTC/USD, eth/usd")
    page.keyboard.press("Enter")
    expect(page.locator("#quotes tbody tr")).to_have_count(2)
    site.publish("ETH/USD", 3400.0)
    expect(cell(page, "ETH/USD", "last")).to_have_text("3,400.00")
    page.get_by_title("Change this list").click()
    page.get_by_label("Name", exact=True).fill("Crypto")
    page.get_by_role("button", name="Rename").click()
    expect(tab(page, "Crypto")).to_be_visible()
    page.get_by_title("Change this list").click()
    page.get_by_role("button", name="Delete this list").click()
    expect(page.locator("#quotes tbody tr")).to_have_count(12)
    page.get_by_role("button", name="Undo").click()
    expect(tab(page, "Crypto")).to_have_attribute("aria-current", "page")
    expect(page.locator("#quotes tbody tr")).to_have_count(2)
    tab(page, "Main").click()
    expect(page.locator("#quotes tbody tr")).to_have_count(12)
    page.go_back()
    expect(page.locator("#quotes tbody tr")).to_have_count(2)
    assert page.evaluate("window.neverReloaded")


def test_what_is_unknown_is_explained_and_stays_in_the_field(page: Page):
    page.keyboard.press("/")
    page.keyboard.type("NOPE")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("No ticker is called NOPE")
    expect(page.get_by_role("status")).to_contain_text("No ticker is called NOPE")
    expect(page.get_by_role("combobox")).to_have_value("NOPE")


def test_rows_are_moved_by_buttons_and_by_dragging(page: Page):
    row_of(page, "NVDA").get_by_label("Actions for NVDA").click()
    page.get_by_role("button", name="To the top").click()
    expect_first(page, "NVDA", "AAPL", "MSFT")
    row_of(page, "MSFT").hover()
    grip = row_of(page, "MSFT").locator(".grip").bounding_box()
    target = row_of(page, "NVDA").bounding_box()
    page.mouse.move(grip["x"] + 5, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(grip["x"] + 5, target["y"] + 30, steps=4)
    page.mouse.move(grip["x"] + 5, target["y"] + 5, steps=4)
    page.mouse.up()
    expect_first(page, "MSFT", "NVDA", "AAPL")
    page.reload()
    expect_first(page, "MSFT", "NVDA", "AAPL")


def test_headers_sort_by_live_prices_and_give_the_own_order_back(site: Site, page: Page):
    for number, symbol in enumerate(["XOM", "GLD", "AAPL"]):
        site.publish(symbol, 50.0 - number)
    expect(cell(page, "AAPL", "last")).to_have_text("48.00")
    header = page.get_by_role("columnheader", name=re.compile("^Last$|^Last ▼$|^Last ▲$"))
    header.get_by_role("link").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    expect_first(page, "XOM", "GLD", "AAPL")
    expect(page.get_by_role("status")).to_contain_text("Sorted by Last, descending")
    header.get_by_role("link").click()
    expect_first(page, "AAPL", "GLD", "XOM")
    page.reload()
    expect_first(page, "AAPL", "GLD", "XOM")
    header.get_by_role("link").click()
    expect_first(page, "AAPL", "MSFT", "NVDA")
    expect(header).to_have_attribute("aria-sort", "none")


def test_sorted_rows_wait_for_the_pointer_and_the_focus_to_leave(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 50.0)
    site.publish("MSFT", 40.0)
    page = open_page("/livez")
    page.clock.install()  # before the page makes its timers
    page.goto("/?sort=-last")
    expect_state(page, "live", "Live")
    row_of(page, "AAPL").get_by_role("link").focus()
    site.publish("MSFT", 60.0)
    expect(cell(page, "MSFT", "last")).to_have_text("60.00")
    page.clock.run_for(5000)
    assert symbols_on(page)[:2] == ["AAPL", "MSFT"]
    row_of(page, "AAPL").hover()
    page.evaluate("document.activeElement.blur()")
    page.clock.run_for(5000)
    assert symbols_on(page)[:2] == ["AAPL", "MSFT"]
    page.get_by_role("link", name="stockwatch").first.hover()
    page.clock.run_for(5000)
    expect_first(page, "MSFT", "AAPL")


def test_a_paused_page_stands_still_and_goes_on_with_the_newest(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    expect_state(page, "live", "Live")
    page.keyboard.press("p")
    expect_state(page, "paused", "Paused")
    site.publish("AAPL", 201.0)
    site.publish("AAPL", 202.0)
    expect(page.locator("#status small")).not_to_have_text("< 1 s")
    expect(cell(page, "AAPL", "last")).to_have_text("200.00")
    page.get_by_role("button", name="Go on").click()
    expect(cell(page, "AAPL", "last")).to_have_text("202.00")


def test_a_hidden_tab_is_not_fed_and_is_right_when_it_returns(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    expect_state(page, "live", "Live")
    hide(page, True)
    site.wait_until_unheard("AAPL")
    site.publish("AAPL", 210.0)
    hide(page, False)
    expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    expect_state(page, "live", "Live")


def test_where_no_socket_comes_through_prices_are_polled(
    site: Site, open_page: Callable[..., Page], complaints: list[str]
):
    site.publish("AAPL", 200.0)
    page = open_page("/livez")
    page.add_init_script(NO_SOCKET)
    page.goto("/")
    expect_state(page, "delayed", "Delayed: polling")
    site.publish("AAPL", 210.0)
    expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    complaints[:] = [text for text in complaints if not text.startswith(LOST)]


def test_a_hidden_page_asks_for_nothing_where_no_socket_comes_through(
    site: Site, open_page: Callable[..., Page], complaints: list[str]
):
    site.publish("AAPL", 200.0)
    page = open_page("/livez")
    page.clock.install()
    page.add_init_script(NO_SOCKET)
    page.goto("/")
    expect_state(page, "delayed", "Delayed: polling")
    hide(page, True)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(20_000)
    site.publish("AAPL", 210.0)
    assert asked == []
    hide(page, False)
    expect(cell(page, "AAPL", "last")).to_have_text("210.00")
    complaints[:] = [text for text in complaints if not text.startswith(LOST)]


def test_a_try_that_fails_when_the_page_is_hidden_starts_no_polling(open_page: Callable[..., Page]):
    page = open_page("/livez")
    page.clock.install()
    page.add_init_script(FAILING_TRIES)
    page.goto("/")
    for made in (1, 2, 3):
        page.wait_for_function("made => tries.length === made", arg=made)
        if made == 3:
            hide(page, True)
            page.evaluate("asked.length = 0")
        page.evaluate("tries.at(-1).onclose({ code: 1006 })")
        page.clock.run_for(5000)
    assert page.evaluate("asked") == []


def test_a_change_after_signing_in_elsewhere_says_so_and_offers_the_page_anew(page: Page, complaints: list[str]):
    other = page.context.new_page()
    sign_in(other)
    remove(page, "AAPL")
    expect(page.locator("#said .error")).to_contain_text("you signed in or out in another tab meanwhile")
    page.get_by_role("link", name="Load the page again").click()
    expect(page.get_by_title(f"Signed in as {STAFF}")).to_be_visible()
    expect(row_of(page, "AAPL")).to_be_visible()
    complaints[:] = [text for text in complaints if "403" not in text]


def test_where_the_session_has_ended_a_change_brings_the_page_anew_and_says_why(site: Site, page: Page):
    sign_in(page)
    open_list(page, "Coins")
    page.context.clear_cookies(name="sessionid")
    page.get_by_title("Change this list").click()
    page.get_by_role("button", name="Delete this list").click()
    expect(page.locator("#said .error")).to_have_text(
        "Nothing was changed. Your session has ended. Sign in again to see your lists."
    )
    expect(page.get_by_role("navigation").get_by_role("link", name="Sign in")).to_be_visible()
    sign_in(page)
    expect(tab(page, "Coins")).to_be_visible()
    site.forget_lists()


def test_two_tabs_of_an_account_stay_in_step(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    sign_in(page)
    other = page.context.new_page()
    other.goto("/")
    expect_state(other, "live", "Live")
    try:
        remove(page, "MSFT")
        expect(row_of(other, "MSFT")).to_have_count(0)
        open_list(page, "Coins")
        expect(tab(other, "Coins")).to_be_visible()
        site.publish("AAPL", 201.0)
        expect(cell(other, "AAPL", "last")).to_have_text("201.00")
    finally:
        site.forget_lists()


def test_word_of_a_list_before_the_answer_that_makes_it_leaves_the_page_at_that_list(site: Site, page: Page):
    heard: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    sign_in(page)
    site.publish("AAPL", 200.0)
    expect_state(page, "live", "Live")
    held = []
    asked = []
    page.route("**/lists/change/", lambda route: held.append((route, route.fetch(max_redirects=0))))
    page.on("request", lambda request: asked.append(request.url) if request.resource_type == "xhr" else None)
    try:
        page.get_by_title("New list").click()
        page.get_by_label("Name of the new list").fill("Coins")
        page.get_by_role("button", name="Create").click()
        wait_until(lambda: page.evaluate("1") and any('"type":"list"' in frame for frame in heard))
        [(route, answer)] = held
        route.fulfill(response=answer)
        expect(tab(page, "Coins")).to_have_attribute("aria-current", "page")
        expect(page.locator("#tabs [aria-current]")).to_have_count(1)
        assert len(asked) == 2, "the change and the page that it leads to"
        # What is changed elsewhere later is followed as ever.
        page.get_by_role("combobox").fill("AAPL")
        page.get_by_role("combobox").press("Enter")
        expect(row_of(page, "AAPL")).to_be_visible()
        expect_state(page, "live", "Live")
        other = page.context.new_page()
        other.goto("/")
        remove(other, "AAPL")
        expect(tab(page, "Main")).to_contain_text("11")
    finally:
        site.forget_lists()


def test_an_answer_whose_form_another_answer_has_replaced_is_merged_like_any(page: Page):
    held = []
    page.route("**/lists/change/", lambda route: held.append((route, route.fetch(max_redirects=0))))
    page.get_by_title("New list").click()
    page.get_by_label("Name of the new list").fill("Coins")
    page.get_by_role("button", name="Create").click()
    wait_until(lambda: page.evaluate("1") and held)
    form = page.locator("#new-menu form").element_handle()
    with page.expect_response("**/?list=*"):
        tab(page, "Main").evaluate("link => link.click()")
    page.wait_for_function("form => !form.isConnected", arg=form)
    [(route, answer)] = held
    route.fulfill(response=answer)
    expect(tab(page, "Coins")).to_have_attribute("aria-current", "page")
    expect(page.locator("#tabs, #tabs nav")).to_have_count(2)


def test_too_many_sockets_are_said_to_be(site: Site, open_page: Callable[..., Page], complaints: list[str]):
    page = open_page("/livez")
    page.route("**/ws/status", lambda route: route.fulfill(json={"ok": False, "status": 429, "reason": "full"}))
    page.route("**/api/quotes?*", lambda route: route.abort())
    page.add_init_script(NO_SOCKET)
    page.goto("/")
    expect_state(page, "offline", "Offline")
    expect(page.locator("#status small")).to_have_text("too many people at once")
    complaints.clear()


def test_the_drawer_has_an_address_a_chart_and_live_figures(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 226.84)
    put_bars(site.redis, {"AAPL": 226.84})
    page = open_page("/?", **DESK)
    expect(row_of(page, "AAPL").locator("td.spark path").last).to_be_visible()
    row_of(page, "AAPL").get_by_role("link").click()
    drawer = page.get_by_role("complementary", name="Details")
    expect(drawer.get_by_role("heading", name="AAPL")).to_be_focused()
    expect(page).to_have_url(re.compile("/s/AAPL"))
    expect(drawer.locator("canvas").first).to_be_visible()
    site.publish("AAPL", 300.0)
    expect(drawer.locator(".last")).to_have_text("300.00")
    expect(drawer.locator("dd.high")).to_have_text("300.00")
    drawer.get_by_role("button", name="Candles").click()
    drawer.get_by_role("link", name="5 min").click()
    expect(drawer.get_by_role("link", name="5 min")).to_have_attribute("aria-current", "true")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(row_of(page, "AAPL").get_by_role("link")).to_be_focused()
    page.go_back()
    expect(drawer.get_by_role("heading", name="AAPL")).to_be_visible()


def test_the_drawer_opens_by_its_address_and_adds_to_the_list(site: Site, open_page: Callable[..., Page]):
    site.publish("ETH/USD", 3400.0)
    page = open_page("/s/ETH/USD")
    drawer = page.get_by_role("complementary", name="Details")
    expect(drawer.get_by_role("heading", name="ETH/USD")).to_be_visible()
    site.publish("ETH/USD", 3410.0)
    expect(drawer.locator(".last")).to_have_text("3,410.00")
    drawer.get_by_role("button", name="Add to the list").click()
    expect(row_of(page, "ETH/USD")).to_be_visible()
    expect(drawer.get_by_text("On Main")).to_be_visible()


def test_without_javascript_the_drawer_is_a_table(site: Site, open_page: Callable[..., Page]):
    put_bars(site.redis, {"BTC/USD": 98234.5})
    site.publish("BTC/USD", 98234.5)
    page = open_page("/s/BTC/USD", java_script_enabled=False)
    table = page.get_by_role("table", name="Bars of BTC/USD")
    lines = table.locator("tbody tr")
    expect(lines.nth(58)).to_be_visible()  # the last of the hour may have begun without a price
    expect(lines.nth(60)).to_have_count(0)
    page.get_by_role("link", name="5 min").click()
    expect(table.locator("tbody tr")).to_have_count(120)
    page.get_by_role("link", name="Close BTC/USD").click()
    expect(page.get_by_role("complementary", name="Details")).to_be_hidden()


def test_the_charts_notice_and_link_stand_in_the_drawer(site: Site, open_page: Callable[..., Page]):
    folder = ROOT / "static/vendor/lightweight-charts"
    assert "Apache License" in Path(folder, "LICENSE").read_text()
    page = open_page("/s/AAPL")
    drawer = page.get_by_role("complementary", name="Details")
    notice = Path(folder, "NOTICE").read_text().split("\n")
    for line in filter(None, notice):
        expect(drawer.locator(".credit")).to_contain_text(line)
    link = drawer.get_by_role("link", name="https://www.tradingview.com/")
    expect(link).to_be_visible()
    expect(link).to_have_attribute("href", "https://www.tradingview.com/")
    assert "attributionLogo: false" in (ROOT / "static/watchlist/chart.js").read_text()


def test_the_keys_are_explained(page: Page):
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(row_of(page, "MSFT").get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="MSFT", exact=True)).to_be_visible()


def test_look_follows_the_account(open_page: Callable[..., Page]):
    page = open_page()
    sign_in(page)
    page.get_by_title("Look").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    other = open_page()
    sign_in(other)
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    other.get_by_title("Look").click()
    other.get_by_role("button", name="System").click()
    expect(other.locator("html")).to_have_attribute("data-theme", "system")


def test_a_file_is_looked_at_before_it_is_imported(page: Page):
    page.goto("/transfer/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    assert download.value.suggested_filename == "stockwatch-simulated.csv"
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "lists.csv", "mimeType": "text/csv", "buffer": b"Coins,BTC/USD\nCoins,NOPE"}
    )
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("cell", name="No ticker is called NOPE.")).to_be_visible()
    page.get_by_role("button", name="Import").click()
    expect(row_of(page, "BTC/USD")).to_be_visible()
    expect(page.locator("#quotes tbody tr")).to_have_count(1)
    remove(page, "BTC/USD")
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
