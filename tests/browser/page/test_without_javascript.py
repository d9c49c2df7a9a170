"""The page without JavaScript: prices, forms and the drawer."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.market import put_bars
from tests.support.browser.page import cell, remove_symbol, row_of
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser


def test_the_page_shows_prices_without_javascript(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 226.84)
    page = open_page(java_script_enabled=False)
    expect(cell(page, "AAPL", "last")).to_have_text("226.84")
    expect(cell(page, "AAPL", "percent")).to_have_text("+1.22%")
    expect(cell(page, "AAPL", "age")).to_have_text(re.compile(r"\d\d:\d\d:\d\d UTC"))
    expect(page.locator("noscript .note")).to_contain_text("Live updates need JavaScript")
    expect(page.locator("#status")).to_be_hidden()


def test_forms_change_the_list_without_javascript(open_page: Callable[..., Page]):
    page = open_page(java_script_enabled=False)
    page.get_by_label("Add a symbol or name").fill(" coca ")
    page.get_by_role("button", name="Add").click()
    expect(row_of(page, "KO")).to_be_visible()
    remove_symbol(page, "KO")
    expect(row_of(page, "KO")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row_of(page, "KO")).to_be_visible()


def test_the_drawer_has_a_table_of_bars_without_javascript(site: Site, open_page: Callable[..., Page]):
    put_bars(site.redis, {"BTC/USD": 98234.5})
    site.publish("BTC/USD", 98234.5)
    page = open_page("/s/BTC/USD", java_script_enabled=False)
    table = page.get_by_role("table", name="Bars of BTC/USD")
    lines = table.locator("tbody tr")
    expect(lines.nth(58)).to_be_visible()  # the newest minute may have no bar yet
    expect(lines.nth(60)).to_have_count(0)
    page.get_by_role("link", name="5 min").click()
    expect(table.locator("tbody tr")).to_have_count(120)
    page.get_by_role("link", name="Close BTC/USD").click()
    expect(page.get_by_role("complementary", name="Details")).to_be_hidden()
