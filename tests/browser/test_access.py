"""What axe-core finds on the page in all its states: nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.market import BASES, put_bars
from tests.support.browser.page import PHONE, expect_state, sign_in
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent.joinpath("vendored/axe.min.js").read_text()
DESK = {"viewport": {"width": 1360, "height": 900}}


def findings(page: Page) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


@pytest.fixture
def live_page(site: Site, open_page: Callable[..., Page]) -> Callable[..., Page]:
    def live_page(path: str = "/", **options) -> Page:
        put_bars(site.redis, BASES)
        for symbol, price in BASES.items():
            site.publish(symbol, price * 1.01)
        page = open_page(path, **DESK | options)
        expect_state(page, "live", "Live")
        return page

    return live_page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("palette", ["green", "blue"])
def test_the_live_table(live_page: Callable[..., Page], theme: str, palette: str):
    page = live_page(color_scheme=theme)
    page.evaluate("palette => document.documentElement.dataset.palette = palette", palette)
    assert findings(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(live_page: Callable[..., Page], theme: str):
    assert findings(live_page(color_scheme=theme, **PHONE)) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_with_stale_rows(site: Site, open_page: Callable[..., Page], theme: str):
    for symbol, price in BASES.items():
        site.publish(symbol, price * 0.99, age=90)
    page = open_page(color_scheme=theme, **DESK)
    expect_state(page, "stale", "No new prices")
    assert findings(page) == []


def test_with_an_empty_list(page: Page):
    page.get_by_role("button", name="Start with an empty list").click()
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
    assert findings(page) == []


def test_signed_in_with_every_menu_open(live_page: Callable[..., Page]):
    page = live_page()
    sign_in(page)
    for menu in page.locator("details.menu").all()[:5]:
        menu.evaluate("menu => menu.open = true")
    assert findings(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_with_the_drawer(live_page: Callable[..., Page], theme: str):
    page = live_page("/s/AAPL", color_scheme=theme)
    expect(page.locator("#drawer canvas").first).to_be_visible()
    page.locator("details.bars summary").click()
    assert findings(page) == []


def test_with_matches_and_messages(live_page: Callable[..., Page]):
    page = live_page()
    page.keyboard.press("/")
    page.keyboard.type("NOPE")
    page.keyboard.press("Enter")
    expect(page.locator("#said .error")).to_be_visible()
    page.get_by_role("combobox").fill("o")
    expect(page.get_by_role("option").first).to_be_visible()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert findings(page) == []


def test_while_reconnecting(site: Site, live_page: Callable[..., Page], complaints: list[str]):
    page = live_page()
    site.kill_server()
    try:
        expect(page.locator("#status")).to_have_attribute("data-state", "waiting")
        assert findings(page) == []
    finally:
        site.start_server()
        expect(page.locator("#status")).not_to_have_attribute("data-state", "waiting", timeout=20_000)
        complaints.clear()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/settings/", "/transfer/", "/sign-in/", "/sign-up/", "/password/", "/nowhere/"])
def test_other_pages(open_page: Callable[..., Page], complaints: list[str], path: str, theme: str):
    page = open_page(path, color_scheme=theme)
    assert findings(page) == []
    complaints[:] = [text for text in complaints if "404" not in text]
