"""Choosing columns, and the live cells of bid, ask, volume and ranges."""

import re
from collections.abc import Callable

import msgspec
import pytest
from playwright.sync_api import Page, expect

from feeds.bar_layout import NewestDay, day_key
from tests.support.browser.page import (
    DESKTOP,
    PHONE,
    cell,
    expect_status,
    remove_symbol,
    row_of,
    scroll_width,
    set_hidden,
)
from tests.support.browser.site import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

COLUMNS_ARE_LOADED = "() => performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/columns.js'))"


def put_day(site: Site, symbol: str, low: float, high: float, volume: int = 0) -> None:
    day = NewestDay(symbol, "2026-11-22", low, high, low, high, 9, None, 1, 1, volume)
    site.redis.set(day_key(symbol), msgspec.json.encode(day))


def show_columns(page: Page, *keys: str) -> None:
    page.get_by_title("Choose columns").click()
    for key in keys:
        page.locator(f"#column-{key}").click()
        expect(page.locator(f"#column-{key}")).to_have_attribute("aria-checked", "true")
    page.keyboard.press("Escape")


def headings(page: Page) -> list[str]:
    return page.locator("#quotes thead th").evaluate_all("cells => cells.map(cell => cell.className)")[:-1]


def test_columns_are_chosen_and_moved_in_an_open_menu(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page(**DESKTOP)
    expect_status(page, "live", "Live")
    page.get_by_title("Choose columns").click()
    page.get_by_role("checkbox", name="Bid").click()
    expect(page.get_by_role("checkbox", name="Bid")).to_have_attribute("aria-checked", "true")
    expect(page.get_by_role("checkbox", name="Bid")).to_be_focused()
    page.get_by_role("button", name="Move Bid to the left").click()
    expect(page.get_by_role("button", name="Move Bid to the left")).to_be_focused()
    page.get_by_role("checkbox", name="Last hour").click()
    expect(page.locator("#quotes thead .spark")).to_have_count(0)
    assert headings(page)[-3:] == ["bid", "low", "age"]
    page.keyboard.press("Escape")
    expect(page.get_by_role("checkbox", name="Bid")).to_be_hidden()
    page.reload()
    assert headings(page)[-3:] == ["bid", "low", "age"]
    site.publish("AAPL", 201.0)
    expect(cell(page, "AAPL", "last")).to_have_text("201.00")


def test_columns_are_chosen_and_moved_without_javascript(open_page: Callable[..., Page]):
    page = open_page(java_script_enabled=False)
    page.get_by_title("Choose columns").click()
    page.get_by_role("checkbox", name="Ask").click()
    expect(page.get_by_role("checkbox", name="Ask")).to_be_visible()
    page.get_by_role("button", name="Move Ask to the left").click()
    expect(page.get_by_role("columnheader", name="Ask")).to_be_visible()
    page.get_by_role("button", name="Default columns").click()
    expect(page.get_by_role("columnheader", name="Ask")).to_have_count(0)


def test_bid_and_ask_follow_the_socket_and_keep_the_last_pair(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0, bid=199.9, ask=200.1)
    page = open_page(**DESKTOP)
    show_columns(page, "bid", "ask")
    expect(cell(page, "AAPL", "bid")).to_have_text("199.90")
    site.publish("AAPL", 201.0, bid=200.9, ask=201.1)
    expect(cell(page, "AAPL", "bid")).to_have_text("200.90")
    expect(cell(page, "AAPL", "ask")).to_have_text("201.10")
    site.publish("AAPL", 202.0)
    expect(cell(page, "AAPL", "last")).to_have_text("202.00")
    expect(cell(page, "AAPL", "ask")).to_have_text("201.10")
    site.publish("AAPL", 203.0, bid=202.9)
    expect(cell(page, "AAPL", "bid")).to_have_text("202.90")
    expect(cell(page, "AAPL", "ask")).to_have_text("–")


def test_bid_and_ask_become_grey_ten_seconds_after_the_last_pair(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0, age=11, bid=199.9, ask=200.1)
    page = open_page(**DESKTOP)
    show_columns(page, "bid", "ask")
    expect(cell(page, "AAPL", "bid")).to_have_class("bid old")
    site.publish("AAPL", 200.0)
    expect(cell(page, "AAPL", "age")).to_have_text(re.compile(r"^(< 1|\d+) s$"))
    expect(cell(page, "AAPL", "bid")).to_have_class("bid old")
    site.publish("AAPL", 200.0, bid=199.9, ask=200.1)
    expect(cell(page, "AAPL", "bid")).to_have_class("bid")
    expect(cell(page, "AAPL", "bid")).to_have_class("bid old")


def test_the_volume_comes_from_the_server_when_the_page_is_shown_again(site: Site, open_page: Callable[..., Page]):
    put_day(site, "AAPL", 100.0, 300.0, 5 * 10**8)
    site.publish("AAPL", 200.0)
    page = open_page(viewport={"width": 2000, "height": 800})
    expect(cell(page, "AAPL", "volume")).to_have_text("5.00")
    put_day(site, "AAPL", 100.0, 300.0, 123_456_000 * 10**8)
    page.wait_for_function(COLUMNS_ARE_LOADED)

    def shows_new_volume() -> bool:
        set_hidden(page, True)
        set_hidden(page, False)
        return cell(page, "AAPL", "volume").inner_text() == "123.46\u00a0M"

    wait_until(shows_new_volume)


def test_the_volume_is_hidden_unless_the_table_is_wide(open_page: Callable[..., Page]):
    page = open_page(**DESKTOP)
    expect(page.locator("#quotes thead .volume")).to_be_hidden()
    page.set_viewport_size({"width": 1900, "height": 800})
    expect(page.locator("#quotes thead .volume")).to_be_visible()


def test_ranges_follow_the_price(site: Site, open_page: Callable[..., Page]):
    put_day(site, "AAPL", 100.0, 300.0)
    site.publish("AAPL", 200.0)
    page = open_page(**DESKTOP)
    show_columns(page, "day-range", "year-range")
    mark = cell(page, "AAPL", "day-range").locator(".mark")
    expect(mark).to_have_attribute("d", "M50 0V8")
    site.publish("AAPL", 150.0)
    expect(mark).to_have_attribute("d", "M25 0V8")
    site.publish("AAPL", 400.0)
    expect(mark).to_have_attribute("d", "M100 0V8")
    for column in ("day-range", "year-range"):
        expect(cell(page, "AAPL", column)).to_have_text("100.00 400.00")


def test_rows_sort_by_a_chosen_column(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0, bid=10.0, ask=11.0)
    site.publish("MSFT", 200.0, bid=20.0, ask=21.0)
    page = open_page(**DESKTOP)
    show_columns(page, "bid")
    page.get_by_role("link", name="Bid", exact=True).click()
    expect(page.locator("#quotes tbody tr").first).to_have_attribute("data-symbol", "MSFT")
    expect(page.get_by_role("columnheader", name="Bid")).to_have_attribute("aria-sort", "descending")


@pytest.mark.parametrize("options", [PHONE, DESKTOP])
def test_all_chosen_columns_are_shown_and_the_page_does_not_scroll(
    site: Site, open_page: Callable[..., Page], options: dict
):
    put_day(site, "BTC/USD", 900_000.0, 1_300_000.0, 10**15)
    site.publish("BTC/USD", 1_234_567.8, bid=1_234_567.7, ask=1_234_567.9)
    page = open_page(**options)
    show_columns(page, "bid", "ask", "day-range", "year-range")
    for column in ("change", "bid", "ask", "volume", "day-range", "year-range", "open", "high", "low"):
        expect(cell(page, "BTC/USD", column)).to_be_visible()
    width = options["viewport"]["width"]
    assert scroll_width(page) == width
    remove_symbol(page, "XOM")
    expect(row_of(page, "XOM")).to_have_count(0)
