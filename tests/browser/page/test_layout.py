"""The layout of the page at different widths."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.market import put_bars
from tests.support.browser.page import (
    PHONE,
    cell,
    create_list,
    expect_first_rows,
    horizontal_edges,
    list_tab,
    row_of,
    rows_of,
    scroll_width,
    submit_new_list,
)
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [360, 768, 1360])
def test_the_add_form_the_tabs_and_the_table_have_the_same_edges(open_page: Callable[..., Page], width: int):
    page = open_page(viewport={"width": width, "height": 800})
    left, right = horizontal_edges(page, "#board > .card >> nth=-1")
    assert horizontal_edges(page, "#tabs nav a >> nth=0")[0] == left
    assert horizontal_edges(page, "#add")[1] == right
    if width == 360:
        assert horizontal_edges(page, "#symbol")[0] == left
        assert scroll_width(page) == width


@pytest.mark.parametrize("path", ["/", "/s/AAPL"])
def test_symbols_and_names_have_enough_room_at_any_width(open_page: Callable[..., Page], path: str):
    page = open_page(path)
    for width in (721, 800, 860, 999, 1000, 1060, 1100, 1160, 1180, 1240, 1300):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.querySelector('#quotes tbody th').offsetWidth") >= 110, width


@pytest.mark.parametrize("width", [320, 360, 720, 721, 900])
def test_the_page_never_scrolls_horizontally(site: Site, open_page: Callable[..., Page], width: int):
    site.publish("BTC/USD", 1_234_567.8, age=90)
    site.publish("EURUSD=X", 1.04182)
    page = open_page(**PHONE | {"viewport": {"width": width, "height": 780}})
    expect(cell(page, "BTC/USD", "age")).to_contain_text("stale")
    expect(page.locator("#status")).not_to_have_attribute("data-state", "still")
    assert scroll_width(page) == width
    for name in ("Coins", "Semiconductors", "Energy", "W" * 40):
        submit_new_list(page, name)
        expect(page.locator("#tabs [aria-current]")).to_contain_text(name)
    assert scroll_width(page) == width
    for path in ("/sign-in/", "/sign-up/"):
        page.goto(path)
        assert scroll_width(page) == width


OVERLAPS = """
const edges = (cell) => { const range = document.createRange(); range.selectNodeContents(cell);
    return range.getBoundingClientRect(); };
[...document.querySelectorAll("#quotes tbody tr")].flatMap((row) => {
    const isShown = (cell) => cell.offsetWidth && !cell.matches(".more") && cell.textContent.trim();
    const cells = [...row.cells].filter(isShown);
    return cells.slice(1).filter((cell, index) => edges(cell).left < edges(cells[index]).right)
        .map((cell) => `${row.dataset.symbol} ${cell.className}`);
})
"""
LONG_PRICES = {"BTC/IDR": 1_734_567_890.0, "SHIB/BTC": 0.00000013}


@pytest.mark.parametrize("symbol", LONG_PRICES)
def test_long_prices_overlap_no_neighbour_at_any_width(site: Site, open_page: Callable[..., Page], symbol: str):
    put_bars(site.redis, LONG_PRICES)
    for each, price in LONG_PRICES.items():
        site.publish(each, price * 1.05)
    page = open_page()
    page.get_by_role("combobox").fill(symbol)
    page.get_by_role("combobox").press("Enter")
    expect(row_of(page, symbol)).to_be_visible()
    expect(row_of(page, symbol).locator("td.percent")).not_to_have_text("–")
    for path in ("/", f"/s/{symbol}"):
        page.goto(path)
        for width in (721, 800, 860, 1000, 1100, 1200, 1300, 1360, 1500, 1700, 2000, 2560):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate(OVERLAPS) == [], width
            assert page.evaluate("document.querySelector('#quotes tbody th').offsetWidth") >= 110, width
            assert scroll_width(page) == width


@pytest.mark.parametrize("symbol", LONG_PRICES)
def test_the_drawer_shows_long_prices_and_their_change_on_a_phone(
    site: Site, open_page: Callable[..., Page], symbol: str
):
    put_bars(site.redis, LONG_PRICES)
    site.publish(symbol, LONG_PRICES[symbol] * 1.05)
    page = open_page(f"/s/{symbol}", **PHONE)
    _, right = horizontal_edges(page, "#drawer section")
    for place in (".figure .last", ".figure .percent", "dd[data-previous-close]", "dd[data-base-price]"):
        assert horizontal_edges(page, f"#drawer {place}")[1] <= right, place


def test_a_very_wide_window_shows_all_columns_beside_a_drawer(open_page: Callable[..., Page]):
    page = open_page("/s/AAPL", viewport={"width": 2560, "height": 900})
    expect(page.get_by_role("columnheader", name="Low")).to_be_visible()
    left, right = horizontal_edges(page, ".desk")
    assert right - left > 2000


def test_a_phone_shows_links_that_sort(site: Site, open_page: Callable[..., Page]):
    site.publish("XOM", 900.0)
    site.publish("AAPL", 200.0)
    page = open_page(**PHONE)
    page.get_by_role("link", name="Last", exact=True).click()
    expect_first_rows(page, "XOM", "AAPL")
    assert scroll_width(page) == 360


def test_the_button_that_removes_is_red(page: Page):
    row_of(page, "AAPL").get_by_label("Actions for AAPL").click()
    expect(page.get_by_role("button", name="Remove AAPL")).to_have_css("color", "rgb(183, 45, 36)")


def test_the_current_tab_of_twenty_is_visible_after_a_reload_and_after_a_change(page: Page):
    page.goto("/transfer/")
    page.get_by_label("Or paste its lines").fill("\n".join(f"List number {number},AAPL" for number in range(20)))
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Import").click()
    list_tab(page, "List number 15").click()
    expect(list_tab(page, "List number 15")).to_have_attribute("aria-current", "page")
    expect(list_tab(page, "List number 15")).to_be_in_viewport(ratio=1)
    page.reload()
    expect(list_tab(page, "List number 15")).to_be_in_viewport(ratio=1)
    page.get_by_role("combobox").fill("MSFT")
    page.get_by_role("combobox").press("Enter")
    expect(rows_of(page)).to_have_count(2)
    expect(list_tab(page, "List number 15")).to_be_in_viewport(ratio=1)


def test_a_change_of_the_theme_returns_to_the_list_that_is_shown(page: Page):
    create_list(page, "Coins")
    page.get_by_title("Appearance").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html[data-theme=dark]")).to_be_attached()
    expect(list_tab(page, "Coins")).to_have_attribute("aria-current", "page")
