"""Changes in the admin on open pages, and the admin's own pages."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import cell, expect_status, sign_in
from tests.support.browser.site import TICKERS, Site

pytestmark = pytest.mark.browser


@pytest.fixture
def restored_tickers(site: Site) -> Iterator[None]:
    """Loads the tickers again after the test."""
    yield
    site.manage("loaddata", "--verbosity", "0", str(TICKERS))


@pytest.mark.usefixtures("restored_tickers")
def test_a_new_base_price_changes_the_rows_of_open_pages(site: Site, open_page: Callable[..., Page]):
    site.publish("XOM", 150.0)
    page = open_page()
    expect(cell(page, "XOM", "percent")).to_have_text("+24.68%")
    expect_status(page, "live", "Live")
    admin = open_page()
    sign_in(admin)
    admin.goto("/admin/feeds/ticker/?q=XOM")
    admin.get_by_role("textbox").or_(admin.get_by_role("spinbutton")).nth(2).fill("100")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("1 ticker was changed successfully")).to_be_visible()
    expect(cell(page, "XOM", "change")).to_have_text("▲+50.00")
    expect(cell(page, "XOM", "percent")).to_have_text("+50.00%")


@pytest.mark.usefixtures("restored_tickers")
def test_new_values_of_a_ticker_change_the_open_drawer(site: Site, open_page: Callable[..., Page]):
    site.publish("XOM", 150.0)
    page = open_page("/s/XOM")
    drawer = page.get_by_role("complementary", name="Details")
    expect(drawer.locator("[data-base-price]")).to_have_text("120.31")
    expect_status(page, "live", "Live")
    admin = open_page()
    sign_in(admin)
    admin.goto("/admin/feeds/ticker/12/change/")
    admin.get_by_label("Name").fill("Exxon")
    admin.get_by_label("Base price").fill("100")
    admin.get_by_label("Decimals").fill("3")
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(drawer.locator("[data-base-price]")).to_have_text("100.000")
    expect(drawer.locator(".figure")).to_have_text("150.000 ▲+50.000 +50.00%")
    expect(drawer.locator(".name")).to_have_text("Exxon")
    expect(drawer.locator(".against")).to_contain_text("Change from base price")
    expect(drawer.locator("[data-previous-close]")).to_have_text("–")


@pytest.mark.usefixtures("restored_tickers")
def test_the_row_of_an_inactive_ticker_shows_that_it_is_off(site: Site, open_page: Callable[..., Page]):
    site.publish("XOM", 150.0)
    page = open_page()
    expect_status(page, "live", "Live")
    admin = open_page()
    sign_in(admin)
    admin.goto("/admin/feeds/ticker/12/change/")
    admin.get_by_label("Active").uncheck()
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(cell(page, "XOM", "age")).to_have_text("off")


def test_the_admin_works_with_the_content_security_policy_of_the_page(open_page: Callable[..., Page]):
    page = open_page()
    sign_in(page)
    for path in (
        "",
        "feeds/ticker/",
        "feeds/ticker/add/",
        "feeds/ticker/1/change/",
        "feeds/ticker/1/delete/",
        "feeds/ticker/import/",
    ):
        page.goto(f"/admin/{path}")
        expect(page.get_by_text("stockwatch: simulated prices")).to_be_visible()
    page.goto("/admin/watchlist/watchlist/add/")
    expect(page.get_by_role("heading", name="Add watchlist")).to_be_visible()
