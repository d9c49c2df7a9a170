"""Accessibility: axe-core finds no violations on the page in any state."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Error, Page, expect

from tests.support.browser.axe import violations_on
from tests.support.browser.market import BASES, put_bars
from tests.support.browser.page import DESKTOP, PHONE, expect_status, fits_window, sign_in
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser


@pytest.fixture
def live_page(site: Site, open_page: Callable[..., Page]) -> Callable[..., Page]:
    def live_page(path: str = "/", **options) -> Page:
        put_bars(site.redis, BASES)
        for symbol, price in BASES.items():
            site.publish(symbol, price * 1.01)
        page = open_page(path, **DESKTOP | options)
        expect_status(page, "live", "Live")
        return page

    return live_page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("palette", ["green", "blue"])
def test_the_live_table_has_no_violations(live_page: Callable[..., Page], theme: str, palette: str):
    page = live_page(color_scheme=theme)
    page.evaluate("palette => document.documentElement.dataset.palette = palette", palette)
    assert violations_on(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_on_a_phone_has_no_violations(live_page: Callable[..., Page], theme: str):
    assert violations_on(live_page(color_scheme=theme, **PHONE)) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_stale_rows_have_no_violations(site: Site, open_page: Callable[..., Page], theme: str):
    for symbol, price in BASES.items():
        site.publish(symbol, price * 0.99, age=90)
    page = open_page(color_scheme=theme, **DESKTOP)
    expect_status(page, "stale", "No new prices")
    assert violations_on(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_all_columns_and_their_menu_have_no_violations(live_page: Callable[..., Page], theme: str, options: dict):
    page = live_page(color_scheme=theme, **options)
    page.get_by_title("Choose columns").click()
    for key in ("bid", "ask", "day-range", "year-range"):
        page.locator(f"#column-{key}").click()
        expect(page.locator(f"#column-{key}")).to_have_attribute("aria-checked", "true")
    assert violations_on(page) == []


def test_an_empty_list_has_no_violations(page: Page):
    page.get_by_role("button", name="Start with an empty list").click()
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
    assert violations_on(page) == []


def test_open_menus_have_no_violations(live_page: Callable[..., Page]):
    page = live_page()
    sign_in(page)
    for menu in page.locator("details.menu").all()[:5]:
        menu.evaluate("menu => menu.open = true")
    assert violations_on(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_drawer_has_no_violations(live_page: Callable[..., Page], theme: str):
    page = live_page("/s/AAPL", color_scheme=theme)
    expect(page.locator("#drawer canvas").first).to_be_visible()
    page.locator("details.bars summary").click()
    page.get_by_label("Compare with a symbol").fill("MSFT")
    page.get_by_role("button", name="Compare in %").click()
    expect(page.locator("ul.compared li")).to_have_count(2)
    assert violations_on(page) == []


def test_matches_and_messages_have_no_violations(live_page: Callable[..., Page]):
    page = live_page()
    page.keyboard.press("/")
    page.keyboard.type("NOPE")
    page.keyboard.press("Enter")
    expect(page.locator("#said .error")).to_be_visible()
    page.get_by_role("combobox").fill("o")
    expect(page.get_by_role("option").first).to_be_visible()
    assert violations_on(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert violations_on(page) == []


def test_a_reconnecting_page_has_no_violations(site: Site, live_page: Callable[..., Page], browser_errors: list[str]):
    page = live_page()
    site.kill_server()
    try:
        expect(page.locator("#status")).to_have_attribute("data-state", "waiting")
        assert violations_on(page) == []
    finally:
        site.start_server()
        expect(page.locator("#status")).not_to_have_attribute("data-state", "waiting", timeout=60_000)
        browser_errors.clear()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/settings/", "/transfer/", "/sign-in/", "/sign-up/", "/password/", "/nowhere/", "/api/v1/docs"]
)
def test_other_pages_have_no_violations(
    open_page: Callable[..., Page], browser_errors: list[str], path: str, theme: str
):
    page = open_page(path, color_scheme=theme)
    assert violations_on(page) == []
    browser_errors[:] = [text for text in browser_errors if "404" not in text]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_of_tokens_has_no_violations(open_page: Callable[..., Page], theme: str, options: dict):
    page = open_page(color_scheme=theme, **options)
    sign_in(page)
    page.goto("/settings/tokens/")
    page.get_by_label("Name").fill("script")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_label("Token", exact=True)).to_have_value(re.compile("sw_.{43}"))
    assert violations_on(page) == []
    page.get_by_role("button", name="Revoke script").click()
    expect(page.get_by_text("The token “script” was revoked.")).to_be_visible()
    assert violations_on(page) == []


def test_the_documentation_of_the_api_fits_on_a_phone(open_page: Callable[..., Page]):
    page = open_page("/api/v1/docs", **PHONE)
    assert fits_window(page)
    assert violations_on(page) == []


def test_a_page_is_not_checked_before_its_styles_are_loaded(open_page: Callable[..., Page]):
    page = open_page("/livez", color_scheme="dark")
    page.route("**/page*.css", lambda _request_without_response: None)
    page.goto("/sign-in/", wait_until="commit")
    expect(page.get_by_label("Username")).to_be_visible()
    page.set_default_navigation_timeout(1)
    with pytest.raises(Error, match="Timeout 1ms exceeded"):
        violations_on(page)
