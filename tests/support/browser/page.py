"""Finds and changes elements of the watchlist page, for tests in a browser."""

from playwright.sync_api import Locator, Page, expect

from tests.support.browser.site import PASSWORD, STAFF

DESKTOP = {"viewport": {"width": 1360, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}

CONNECTION_ERRORS = ("WebSocket connection to ", "Failed to load resource: net::ERR_CONNECTION_REFUSED")
"""The beginnings of the errors in the browser's console if the gateway does not answer."""

BLOCK_SOCKETS = "WebSocket = class { constructor() { setTimeout(() => this.onclose({code: 1006})); } close() {} };"
"""A script after which the page cannot open a WebSocket."""

BLOCK_STREAMS = """
delete window.SharedWorker;
const unblockedFetch = fetch;
fetch = (...given) => `${given[0]}`.startsWith("/stream?") ? Promise.reject(TypeError()) : unblockedFetch(...given);
"""
"""A script after which the page cannot open a stream."""


def row_of(page: Page, symbol: str) -> Locator:
    return page.locator(f'tr[data-symbol="{symbol}"]')


def rows_of(page: Page) -> Locator:
    return page.locator("#quotes tbody tr")


def cell(page: Page, symbol: str, column: str) -> Locator:
    return row_of(page, symbol).locator(f"td.{column}")


def symbols_on(page: Page) -> list[str]:
    return rows_of(page).evaluate_all("rows => rows.map(row => row.dataset.symbol)")


def expect_first_rows(page: Page, *symbols: str) -> None:
    for index, symbol in enumerate(symbols):
        expect(rows_of(page).nth(index)).to_have_attribute("data-symbol", symbol)


def expect_status(page: Page, state: str, label: str) -> None:
    expect(page.locator("#status")).to_have_attribute("data-state", state)
    expect(page.locator("#status span")).to_have_text(label)


def list_tab(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Lists").get_by_role("link", name=name)


def submit_new_list(page: Page, name: str) -> None:
    page.get_by_title("New list").click()
    page.get_by_label("Name of the new list").fill(name)
    page.get_by_role("button", name="Create").click()


def create_list(page: Page, name: str) -> None:
    submit_new_list(page, name)
    expect(list_tab(page, name)).to_have_attribute("aria-current", "page")


def remove_symbol(page: Page, symbol: str) -> None:
    row_of(page, symbol).get_by_label(f"Actions for {symbol}").click()
    page.get_by_role("button", name=f"Remove {symbol}").click()


def sign_in(page: Page) -> None:
    page.goto("/sign-in/")
    page.get_by_label("Username").fill(STAFF)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def set_hidden(page: Page, hidden: bool) -> None:
    """Tells the page that its tab is hidden or visible."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def ignore_connection_errors(browser_errors: list[str]) -> None:
    """Removes the errors of a gateway that does not answer from `browser_errors`."""
    browser_errors[:] = [text for text in browser_errors if not text.startswith(CONNECTION_ERRORS)]


def horizontal_edges(page: Page, selector: str) -> tuple[float, float]:
    """Waits until the page and its styles are loaded. Returns the left and the right edge of an element in pixels."""
    page.wait_for_load_state()
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"], box["x"] + box["width"]


def scroll_width(page: Page) -> int:
    """Waits until the page and its styles are loaded. Returns the width of its content in pixels."""
    page.wait_for_load_state()
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def fits_window(page: Page) -> bool:
    """Returns whether the page cannot be scrolled horizontally."""
    width: int = page.evaluate("window.innerWidth")
    return scroll_width(page) <= width
