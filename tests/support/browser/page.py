"""Finds and changes things on the page, for tests in a browser."""

from playwright.sync_api import Locator, Page, expect

from tests.support.browser.site import PASSWORD, STAFF

PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}


LOST = ("WebSocket connection to ", "Failed to load resource: net::ERR_CONNECTION_REFUSED")


def row_of(page: Page, symbol: str) -> Locator:
    return page.locator(f'tr[data-symbol="{symbol}"]')


def cell(page: Page, symbol: str, kind: str) -> Locator:
    return row_of(page, symbol).locator(f"td.{kind}")


def expect_state(page: Page, state: str, word: str) -> None:
    expect(page.locator("#status")).to_have_attribute("data-state", state)
    expect(page.locator("#status span")).to_have_text(word)


def remove(page: Page, symbol: str) -> None:
    row_of(page, symbol).get_by_label(f"Actions for {symbol}").click()
    page.get_by_role("button", name=f"Remove {symbol}").click()


def sign_in(page: Page) -> None:
    page.goto("/sign-in/")
    page.get_by_label("Username").fill(STAFF)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def forget_lost_connections(complaints: list[str]) -> None:
    """A gateway that is away cannot be asked without the browser writing an error of its own."""
    complaints[:] = [text for text in complaints if not text.startswith(LOST)]


def edges(page: Page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"], box["x"] + box["width"]
