"""The pages of alerts in a browser: keyboard only, without scripts, and no violations of accessibility."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.alert_rows import set_alerts, set_engine
from tests.support.browser.axe import violations_on
from tests.support.browser.market import PRICES, put_bars
from tests.support.browser.page import DESKTOP, PHONE, fits_window
from tests.support.browser.site import PASSWORD, STAFF, Site

pytestmark = pytest.mark.browser

MAX_TABS = 60
"""More presses of Tab than any page of alerts needs to reach an element."""


@pytest.fixture
def market(site: Site) -> Iterator[Site]:
    """A site with prices, bars and an alert engine, on which the person has no alerts."""
    put_bars(site.redis, PRICES)
    for symbol, price in PRICES.items():
        site.publish(symbol, price)
    set_engine(site.redis)
    set_alerts(site)
    yield site
    set_alerts(site)  # the account belongs to all tests


def press_until_focused(page: Page, selector: str) -> None:
    """Presses Tab until the element has the focus."""
    for _ in range(MAX_TABS):
        if page.locator(selector).first.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


def type_into(page: Page, selector: str, text: str) -> None:
    press_until_focused(page, selector)
    page.keyboard.type(text)


def press(page: Page, selector: str) -> None:
    press_until_focused(page, selector)
    page.keyboard.press("Enter")


def sign_in(page: Page) -> None:
    type_into(page, "#id_username", STAFF)
    type_into(page, "#id_password", PASSWORD)
    page.keyboard.press("Enter")


def test_alerts_are_used_with_the_keyboard_only_and_without_scripts(market: Site, open_page: Callable[..., Page]):
    page = open_page("/alerts/new/?symbol=AAPL", java_script_enabled=False, **DESKTOP)
    press(page, "main a[href^='/sign-in/']")
    sign_in(page)
    expect(page.get_by_label("Symbol")).to_have_value("AAPL")
    press(page, ".levels button:last-child")
    expect(page.get_by_label("Level", exact=True)).to_have_value("238.18")
    type_into(page, "#id_note", "Sell half")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="AAPL rises to 238.18")).to_be_visible()
    expect(page).to_have_url(market.address + "/alerts/new/#preview")
    press(page, "button[name=do][value=create].solid")
    expect(page.get_by_text("AAPL rises to 238.18: the alert is active.")).to_be_visible()
    press(page, "#alerts summary")
    press(page, "button[name=pause]")
    expect(page.locator("#alerts .badge")).to_have_text("Paused")
    press(page, "#alerts summary")
    press(page, "button[name=delete]")
    expect(page.get_by_role("heading", name="You have no alerts")).to_be_visible()
    press(page, "button[name=restore]")
    expect(page.locator("#alerts .badge")).to_have_text("Active")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_pages_of_alerts_have_no_violations(
    market: Site, open_page: Callable[..., Page], browser_errors: list[str], theme: str, options: dict
):
    delivery = {"channel": "email", "state": "failed", "attempts": 9, "last_error": "550 no such mailbox"}
    firing = {"price": 230.4, "late": True, "deliveries": [delivery]}
    set_alerts(
        market,
        {"symbol": "AAPL", "level": 230.0, "note": "Sell half"},
        {"symbol": "NVDA", "kind": "day_percent", "percent": -5.0, "state": "paused"},
        {"symbol": "GLD", "level": 230.0, "state": "fired", "firings": [firing]},
        {"symbol": "XOM", "level": 125.0, "state": "failed", "state_reason": "The ticker was switched off."},
    )
    page = open_page("/alerts/", color_scheme=theme, **options)
    assert violations_on(page) == []
    page.goto("/sign-in/?next=/alerts/")
    with page.expect_navigation():  # until the styles are loaded
        sign_in(page)
    page.locator("#alerts summary").first.click()
    assert violations_on(page) == []
    assert fits_window(page)
    page.goto("/alerts/history/")
    assert violations_on(page) == []
    page.goto("/alerts/new/?symbol=AAPL")
    page.get_by_label("Level", exact=True).fill("-5")
    with page.expect_navigation():
        page.get_by_role("button", name="Create alert").click()
    expect(page.get_by_text("A level is above 0")).to_be_visible()
    assert violations_on(page) == []
    assert fits_window(page)
    browser_errors[:] = [text for text in browser_errors if "422" not in text]


def test_the_form_shows_only_the_fields_of_the_chosen_condition(market: Site, open_page: Callable[..., Page]):
    page = open_page("/sign-in/?next=/alerts/new/%3Fsymbol%3DAAPL", **DESKTOP)
    sign_in(page)
    expect(page.get_by_label("Level", exact=True)).to_be_visible()
    expect(page.get_by_label("Percent")).to_be_hidden()
    expect(page.get_by_label("Pause in minutes")).to_be_hidden()
    page.get_by_label("Condition").select_option("day_percent")
    page.get_by_label("Fires").select_option("each")
    expect(page.get_by_label("Level", exact=True)).to_be_hidden()
    expect(page.get_by_label("Percent")).to_be_visible()
    expect(page.get_by_label("Pause in minutes")).to_be_visible()


def test_five_equal_forms_at_once_create_one_alert(market: Site, open_page: Callable[..., Page]):
    page = open_page("/sign-in/?next=/alerts/new/%3Fsymbol%3DAAPL", **DESKTOP)
    sign_in(page)
    page.get_by_label("Level", exact=True).fill("230")
    page.evaluate(
        """async () => {
            const form = document.querySelector(".alert-form");
            const body = new FormData(form, form.querySelector("[value=create]"));
            const send = () => fetch(form.action, { method: "POST", body: new URLSearchParams(body) });
            await Promise.all([1, 2, 3, 4, 5].map(send));
        }"""
    )
    page.goto("/alerts/")
    expect(page.locator("#alerts tbody tr")).to_have_count(1)
