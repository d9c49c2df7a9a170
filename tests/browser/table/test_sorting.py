"""Sorting rows by the headers of the table."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import cell, expect_first_rows, expect_status, row_of, symbols_on
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser


def test_headers_sort_by_live_prices_and_restore_the_own_order(site: Site, page: Page):
    for number, symbol in enumerate(["XOM", "GLD", "AAPL"]):
        site.publish(symbol, 50.0 - number)
    expect(cell(page, "AAPL", "last")).to_have_text("48.00")
    header = page.get_by_role("columnheader", name=re.compile("^Last$|^Last ▼$|^Last ▲$"))
    header.get_by_role("link").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    expect_first_rows(page, "XOM", "GLD", "AAPL")
    expect(page.get_by_role("status")).to_contain_text("Sorted by Last, descending")
    header.get_by_role("link").click()
    expect_first_rows(page, "AAPL", "GLD", "XOM")
    page.reload()
    expect_first_rows(page, "AAPL", "GLD", "XOM")
    header.get_by_role("link").click()
    expect_first_rows(page, "AAPL", "MSFT", "NVDA")
    expect(header).to_have_attribute("aria-sort", "none")


def test_sorted_rows_do_not_move_under_the_pointer_or_the_focus(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 50.0)
    site.publish("MSFT", 40.0)
    page = open_page("/livez")
    page.clock.install()  # before the page starts its timers
    page.goto("/?sort=-last")
    expect_status(page, "live", "Live")
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
    expect_first_rows(page, "MSFT", "AAPL")


def test_the_sort_stays_when_the_drawer_is_closed_and_when_going_back(site: Site, page: Page):
    site.publish("XOM", 900.0)
    expect(cell(page, "XOM", "last")).to_have_text("900.00")
    page.get_by_role("columnheader", name="Last", exact=True).get_by_role("link").click()
    expect_first_rows(page, "XOM")
    row_of(page, "XOM").get_by_role("link").click()
    expect(page.get_by_role("heading", name="XOM", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/\?(.*&)?sort=-last$"))
    page.go_back()
    expect(page.get_by_role("heading", name="XOM", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"/s/XOM\?(.*&)?sort=-last$"))
    page.reload()
    expect_first_rows(page, "XOM")
