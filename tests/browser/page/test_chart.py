"""The chart in the drawer."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from feeds import bar_layout
from tests.support.browser.market import put_bars
from tests.support.browser.page import DESKTOP, cell, expect_status, row_of
from tests.support.browser.site import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

HAS_COLOUR = """(side) => {
    const isNear = (data, at, colour) => colour.every((part, index) => Math.abs(part - data[at + index]) < 8);
    const counts = { up: 0, down: 0 };
    for (const canvas of document.querySelectorAll(".chart canvas")) {
        if (!canvas.width || !canvas.height) continue;
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
        for (let at = 0; at < data.length; at += 4) {
            if (isNear(data, at, [10, 116, 80])) counts.up += 1;
            if (isNear(data, at, [183, 45, 36])) counts.down += 1;
        }
    }
    return counts[side] > 100 && counts[side === "up" ? "down" : "up"] === 0;
}"""


def put_minutes(site: Site, symbol: str, *bars: tuple[float, float]) -> None:
    """Writes the newest minutes as (open, close), oldest first."""
    ring = bar_layout.MINUTES
    newest = int(time.time()) // 60
    data = bytearray(ring.size)
    for index, (open_, close) in enumerate(bars):
        start = newest - len(bars) + 1 + index
        slot = ring.pack(start, (open_, max(open_, close), min(open_, close), close, 9), (0, 1), (1, 2), 10**8)
        data[ring.offset(start) : ring.offset(start) + len(slot)] = slot
    site.redis.set(ring.key(symbol), bytes(data))


def legend_at_the_newest_bar(page: Page) -> str:
    box = page.locator(".chart table tr").first.locator("td").nth(1).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 60)
    expect(page.locator(".cross")).not_to_be_empty()
    return page.locator(".cross").inner_text()


def test_the_line_takes_the_colour_of_its_direction_while_prices_change(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 1000.0)
    put_minutes(site, "AAPL", (225.0, 225.0), (225.0, 225.0))
    page = open_page("/s/AAPL", **DESKTOP)
    page.wait_for_function(HAS_COLOUR, arg="up")
    site.publish("AAPL", 1.0)
    page.wait_for_function(HAS_COLOUR, arg="down")
    site.publish("AAPL", 1000.0)
    page.wait_for_function(HAS_COLOUR, arg="up")


def test_the_line_falls_if_it_ends_below_its_first_point(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 15.0)
    put_minutes(site, "AAPL", (10.0, 20.0), (20.0, 18.0), (18.0, 15.0))
    page = open_page("/s/AAPL", **DESKTOP)
    page.wait_for_function(HAS_COLOUR, arg="down")


def test_a_paused_page_shows_one_price_in_row_drawer_and_chart(site: Site, open_page: Callable[..., Page]):
    put_bars(site.redis, {"AAPL": 200.0})
    site.publish("AAPL", 200.0)
    site.publish("MSFT", 400.0)
    page = open_page("/", **DESKTOP)
    expect_status(page, "live", "Live")
    page.keyboard.press("p")
    expect_status(page, "paused", "Paused")
    site.publish("AAPL", 300.0)
    put_bars(site.redis, {"AAPL": 300.0})
    row_of(page, "AAPL").get_by_role("link").click()
    drawer = page.get_by_role("complementary", name="Details")
    expect(drawer.locator(".last")).to_have_text("200.00")
    expect(drawer.locator("dd.high")).not_to_have_text("300.00")
    expect(cell(page, "AAPL", "last")).to_have_text("200.00")
    expect(page.locator(".cross")).to_be_empty()
    wait_until(lambda: "200.00" in legend_at_the_newest_bar(page))
    page.keyboard.press("p")
    expect(drawer.locator(".last")).to_have_text("300.00")
    expect(cell(page, "AAPL", "last")).to_have_text("300.00")
    page.mouse.move(0, 0)
    expect(page.locator(".cross")).to_be_empty()
    wait_until(lambda: "300.00" in legend_at_the_newest_bar(page))


def test_range_and_kind_are_those_that_were_chosen_last(site: Site, open_page: Callable[..., Page]):
    put_bars(site.redis, {"AAPL": 200.0, "MSFT": 400.0})
    page = open_page("/s/AAPL", **DESKTOP)
    drawer = page.get_by_role("complementary", name="Details")
    expect(drawer.locator("canvas").first).to_be_visible()
    drawer.get_by_role("link", name="1 d").click()
    drawer.get_by_role("button", name="Candles").click()
    with page.expect_response("**/api/bars/MSFT?range=1d"):
        row_of(page, "MSFT").get_by_role("link").click()
    expect(drawer.get_by_role("link", name="1 d")).to_have_attribute("aria-current", "true")
    expect(drawer.get_by_role("link", name="1 h", exact=True)).not_to_have_attribute("aria-current", "true")
    expect(drawer.get_by_role("button", name="Candles")).to_have_attribute("aria-pressed", "true")
    with page.expect_response("**/api/bars/AAPL?range=5m"):
        page.goto("/s/AAPL?range=5m")


def add_to_chart(page: Page, symbol: str) -> None:
    page.get_by_label("Compare with a symbol").fill(symbol)
    page.get_by_role("button", name="Compare in %").click()


def test_the_legend_shows_the_volume_of_the_bar(site: Site, open_page: Callable[..., Page]):
    put_minutes(site, "AAPL", (225.0, 225.0), (225.0, 225.0))
    page = open_page("/s/AAPL", **DESKTOP)
    expect(page.locator(".cross")).to_be_empty()
    expect(page.locator(".chart canvas").first).to_be_visible()
    wait_until(lambda: legend_at_the_newest_bar(page).endswith("V 1.00"))


def test_the_ranges_reach_from_five_minutes_to_a_year(site: Site, open_page: Callable[..., Page]):
    put_bars(site.redis, {"AAPL": 200.0})
    page = open_page("/s/AAPL", **DESKTOP)
    drawer = page.get_by_role("complementary", name="Details")
    labels = drawer.locator("a[data-range]").all_inner_texts()
    assert labels == ["5 min", "1 h", "1 d", "1 w", "1 m", "6 m", "1 y", "All"]
    for label, name in (("1 m", "1mo"), ("6 m", "6mo"), ("1 y", "1y")):
        with page.expect_response(f"**/api/bars/AAPL?range={name}"):
            drawer.get_by_role("link", name=label, exact=True).click()


def test_up_to_four_symbols_are_compared_in_percent(site: Site, open_page: Callable[..., Page]):
    for symbol, close in (("AAPL", 110.0), ("MSFT", 90.0), ("BTC/USD", 100.0), ("GOOG", 105.0)):
        put_minutes(site, symbol, (100.0, 100.0), (100.0, close))
    page = open_page("/s/AAPL", **DESKTOP)
    compared = page.get_by_role("list", name="Change of the compared symbols")
    add_to_chart(page, "msft")
    expect(compared.get_by_role("listitem")).to_have_text(["AAPL +10.00%", "MSFT \u221210.00%×"])
    add_to_chart(page, "BTC/USD")
    add_to_chart(page, "GOOG")
    expect(compared.get_by_role("listitem")).to_have_count(4)
    add_to_chart(page, "XOM")
    expect(page.locator(".compare output")).to_have_text("A chart compares up to 4 symbols.")
    with page.expect_response("**/api/bars/BTC%2FUSD?range=1d"):
        page.get_by_role("link", name="1 d", exact=True).click()
    page.get_by_role("button", name="Remove MSFT from the chart").click()
    expect(compared.get_by_role("listitem")).to_have_count(3)
    add_to_chart(page, "AAPL")
    expect(page.locator(".compare output")).to_have_text("AAPL is in the chart already.")


def test_the_controls_of_the_chart_wait_for_its_script(site: Site, open_page: Callable[..., Page]):
    put_minutes(site, "AAPL", (100.0, 100.0), (100.0, 110.0))
    put_minutes(site, "MSFT", (100.0, 100.0), (100.0, 90.0))
    page = open_page(**DESKTOP)
    held: list[Route] = []
    page.route("**/chart.js*", lambda route: held.append(route))
    page.goto("/s/AAPL")
    wait_until(lambda: page.evaluate("document.documentElement.classList.contains('live')") and held)
    expect(page.get_by_role("button", name="Compare in %")).to_have_count(0)
    expect(page.get_by_role("button", name="Candles")).to_have_count(0)
    held[0].continue_()
    add_to_chart(page, "MSFT")
    expect(page.get_by_role("list", name="Change of the compared symbols").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("button", name="Candles")).to_be_visible()


def test_an_unknown_symbol_cannot_be_compared(site: Site, open_page: Callable[..., Page], browser_errors: list[str]):
    put_minutes(site, "AAPL", (100.0, 100.0), (100.0, 110.0))
    page = open_page("/s/AAPL", **DESKTOP)
    add_to_chart(page, "NOPE")
    expect(page.locator(".compare output")).to_have_text("NOPE has no chart.")
    expect(page.locator("ul.compared li")).to_have_count(0)
    browser_errors[:] = [text for text in browser_errors if "404" not in text]
