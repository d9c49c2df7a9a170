"""The keys of the page."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import cell, row_of
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser


def test_the_keyboard_adds_and_removes_symbols(site: Site, page: Page):
    site.publish("BTC/USD", 98000.0)
    page.evaluate("window.neverReloaded = true")
    page.keyboard.press("/")
    page.keyboard.type("ether")
    expect(page.get_by_role("option", name="ETH/USD")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("ETH/USD is in your list now.")
    site.publish("ETH/USD", 3400.0)
    expect(cell(page, "ETH/USD", "last")).to_have_text("3,400.00")
    row_of(page, "BTC/USD").get_by_role("link").focus()
    page.keyboard.press("Delete")
    expect(page.get_by_role("status")).to_contain_text("BTC/USD is no longer in “Main”.")
    expect(row_of(page, "BTC/USD")).to_have_count(0)
    expect(row_of(page, "EURUSD=X").get_by_role("link")).to_be_focused()
    page.keyboard.press("u")
    expect(row_of(page, "BTC/USD")).to_be_visible()
    site.publish("BTC/USD", 99000.0)
    expect(cell(page, "BTC/USD", "last")).to_have_text("99,000.0")
    assert page.evaluate("window.neverReloaded")


def test_the_keyboard_opens_the_help_and_the_drawer(page: Page):
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(row_of(page, "MSFT").get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="MSFT", exact=True)).to_be_visible()


def test_only_delete_removes_the_focused_row(page: Page):
    row_of(page, "AAPL").get_by_role("link").focus()
    page.keyboard.press("Backspace")
    row_of(page, "MSFT").get_by_role("link").focus()
    page.keyboard.press("Delete")
    expect(row_of(page, "MSFT")).to_have_count(0)
    expect(page.get_by_role("status")).to_contain_text("MSFT is no longer in “Main”.")
    expect(row_of(page, "AAPL")).to_be_visible()


def test_home_end_and_the_page_keys_move_between_rows(page: Page):
    page.set_viewport_size({"width": 1000, "height": 300})
    link = row_of(page, "AAPL").get_by_role("link")
    page.keyboard.press("ArrowDown")
    expect(link).to_be_focused()
    page.keyboard.press("End")
    expect(row_of(page, "XOM").get_by_role("link")).to_be_focused()
    page.keyboard.press("PageUp")
    expect(row_of(page, "XOM").get_by_role("link")).not_to_be_focused()
    page.keyboard.press("PageDown")
    expect(row_of(page, "XOM").get_by_role("link")).to_be_focused()
    page.keyboard.press("Home")
    expect(link).to_be_focused()


def test_the_skip_link_leads_to_the_first_row(page: Page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the prices")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row_of(page, "AAPL").get_by_role("link")).to_be_focused()
