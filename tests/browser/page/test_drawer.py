"""The drawer: its address, its chart and its live prices."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.market import put_bars
from tests.support.browser.page import DESKTOP, row_of
from tests.support.browser.site import ROOT, Site

pytestmark = pytest.mark.browser


def test_the_drawer_has_an_address_a_chart_and_live_prices(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 226.84)
    put_bars(site.redis, {"AAPL": 226.84})
    page = open_page("/?", **DESKTOP)
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


def test_the_drawer_opens_at_its_address_and_adds_its_symbol_to_a_list(site: Site, open_page: Callable[..., Page]):
    site.publish("ETH/USD", 3400.0)
    page = open_page("/s/ETH/USD")
    drawer = page.get_by_role("complementary", name="Details")
    expect(drawer.get_by_role("heading", name="ETH/USD")).to_be_visible()
    site.publish("ETH/USD", 3410.0)
    expect(drawer.locator(".last")).to_have_text("3,410.00")
    drawer.get_by_role("button", name="Add to the list").click()
    expect(row_of(page, "ETH/USD")).to_be_visible()
    expect(drawer.get_by_text("On Main")).to_be_visible()


def test_the_drawer_shows_the_notice_and_the_link_of_the_chart_library(site: Site, open_page: Callable[..., Page]):
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


def test_the_title_names_what_is_shown(page: Page):
    end = " · simulated prices · stockwatch"
    for symbol, name in (("AAPL", "Apple"), ("MSFT", "Microsoft")):
        row_of(page, symbol).get_by_role("link").click()
        expect(page).to_have_title(f"{symbol} {name}{end}")
    page.go_back()
    expect(page).to_have_title(f"AAPL Apple{end}")
    expect(page.get_by_role("heading", name="AAPL", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_title(f"Main{end}")


def test_the_drawer_shows_the_symbol_that_was_chosen_last(page: Page):
    routes = []
    page.route("**/s/AAPL*", lambda route: routes.append(route))
    row_of(page, "AAPL").get_by_role("link").click()
    row_of(page, "MSFT").get_by_role("link").click()
    row_of(page, "NVDA").get_by_role("link").click()
    expect(page.get_by_role("heading", name="NVDA", exact=True)).to_be_focused()
    expect(page).to_have_url(re.compile("/s/NVDA"))
