"""Accounts: signing up, and settings that follow the account."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import remove_symbol, row_of, sign_in
from tests.support.browser.site import PASSWORD

pytestmark = pytest.mark.browser


def test_a_visitor_keeps_the_list_when_signing_up(page: Page):
    remove_symbol(page, "AAPL")
    expect(row_of(page, "AAPL")).to_have_count(0)
    page.get_by_role("navigation").get_by_role("link", name="Sign up").click()
    page.get_by_label("Username").fill("grace")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign up").click()
    expect(page.locator("tbody tr")).to_have_count(11)
    page.get_by_title("Signed in as grace").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("tbody tr")).to_have_count(12)


def test_the_theme_follows_the_account(open_page: Callable[..., Page]):
    page = open_page()
    sign_in(page)
    page.get_by_title("Appearance").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    other = open_page()
    sign_in(other)
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    other.get_by_title("Appearance").click()
    other.get_by_role("button", name="System").click()
    expect(other.locator("html")).to_have_attribute("data-theme", "system")
