"""Changes of lists that are pressed faster than the server answers."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser.page import (
    create_list,
    expect_first_rows,
    list_tab,
    remove_symbol,
    row_of,
    rows_of,
    symbols_on,
)

pytestmark = pytest.mark.browser

CHANGES = "**/{list/add,list/change,lists/change,undo}/"


class HeldRequests:
    """Holds requests back, those for changes if not told else. `release` lets them go, and later ones too."""

    def __init__(self, page: Page, pattern: str = CHANGES) -> None:
        self._routes: list[Route] = []
        self._are_held = True
        page.route(pattern, self._receive)

    def _receive(self, route: Route) -> None:
        if self._are_held:
            self._routes.append(route)
        else:
            route.continue_()

    def release(self) -> None:
        self._are_held = False
        for route in self._routes:
            route.continue_()


@pytest.fixture
def empty_list(page: Page) -> Page:
    page.get_by_role("button", name="Start with an empty list").click()
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
    return page


def ignore_aborted_requests(browser_errors: list[str]) -> None:
    browser_errors[:] = [text for text in browser_errors if "ERR_FAILED" not in text and not text.startswith("htmx:")]


def add(page: Page, symbol: str) -> None:
    page.keyboard.type(symbol)
    page.keyboard.press("Enter")


def test_symbols_that_are_typed_during_a_request_are_all_added_in_order(empty_list: Page):
    page = empty_list
    held = HeldRequests(page)
    page.keyboard.press("/")
    for symbol in ("AAPL", "MSFT", "NVDA", "XOM", "GLD"):
        add(page, symbol)
    page.keyboard.type("ether")
    held.release()
    expect(rows_of(page)).to_have_count(5)
    assert symbols_on(page) == ["AAPL", "MSFT", "NVDA", "XOM", "GLD"]
    expect(page.get_by_role("combobox")).to_have_value("ether")


def test_a_refused_symbol_is_explained_although_the_next_one_is_added(empty_list: Page):
    page = empty_list
    held = HeldRequests(page)
    page.keyboard.press("/")
    add(page, "NOPE")
    add(page, "AAPL")
    held.release()
    expect(row_of(page, "AAPL")).to_be_visible()
    expect(page.locator("#said")).to_contain_text("AAPL is in your list now.")
    expect(page.locator("#said .error")).to_contain_text("No ticker is called NOPE")


def test_each_press_of_delete_removes_the_next_row_at_once(page: Page):
    held = HeldRequests(page)
    row_of(page, "AAPL").get_by_role("link").focus()
    for _ in range(4):
        page.keyboard.press("Delete")
    expect(rows_of(page).filter(visible=True)).to_have_count(8)
    expect(row_of(page, "AMZN").get_by_role("link")).to_be_focused()
    held.release()
    expect(rows_of(page)).to_have_count(8)
    expect_first_rows(page, "AMZN", "TSLA")
    page.reload()
    expect_first_rows(page, "AMZN", "TSLA")


def test_a_removal_that_fails_shows_the_row_again(page: Page, browser_errors: list[str]):
    page.route(CHANGES, lambda route: route.abort())
    row_of(page, "MSFT").get_by_role("link").focus()
    page.keyboard.press("Delete")
    expect(page.locator("#said .error")).to_contain_text("The server did not answer.")
    expect(row_of(page, "MSFT")).to_be_visible()
    ignore_aborted_requests(browser_errors)


def test_an_added_symbol_that_the_server_did_not_get_returns_to_the_field(page: Page, browser_errors: list[str]):
    page.route(CHANGES, lambda route: route.abort())
    page.keyboard.press("/")
    add(page, "KO")
    expect(page.locator("#said .error")).to_contain_text("KO: The server did not answer.")
    expect(page.get_by_role("combobox")).to_have_value("KO")
    ignore_aborted_requests(browser_errors)


def test_an_undo_that_is_pressed_during_the_removal_undoes_it(page: Page):
    held = HeldRequests(page)
    row_of(page, "MSFT").get_by_role("link").focus()
    page.keyboard.press("Delete")
    page.keyboard.press("u")
    held.release()
    expect(page.locator("#said")).to_contain_text("MSFT is back.")
    expect(row_of(page, "MSFT")).to_be_visible()


def test_moves_that_are_pressed_during_a_request_all_happen(page: Page):
    held = HeldRequests(page)
    for symbol in ("NVDA", "GOOG", "AMZN"):
        row_of(page, symbol).get_by_label(f"Actions for {symbol}").click()
        row_of(page, symbol).get_by_role("button", name="To the top").click()
    held.release()
    expect_first_rows(page, "AMZN", "GOOG", "NVDA", "AAPL")


def test_tabs_that_are_chosen_during_a_request_are_shown_in_order_and_take_what_is_typed_next(page: Page):
    create_list(page, "Coins")
    list_tab(page, "Main").click()
    expect(rows_of(page)).to_have_count(12)
    held = HeldRequests(page)
    remove_symbol(page, "AAPL")
    list_tab(page, "Coins").click()
    page.keyboard.press("/")
    add(page, "ETH/USD")
    held.release()
    expect(list_tab(page, "Coins")).to_have_attribute("aria-current", "page")
    expect(row_of(page, "ETH/USD")).to_be_visible()
    assert symbols_on(page) == ["ETH/USD"]
    list_tab(page, "Main").click()
    expect(rows_of(page)).to_have_count(11)


def test_what_is_typed_while_a_tab_loads_goes_to_its_list(page: Page):
    create_list(page, "Coins")
    list_tab(page, "Main").click()
    expect(rows_of(page)).to_have_count(12)
    held_change = HeldRequests(page)
    held_tab = HeldRequests(page, "**/" + (list_tab(page, "Coins").get_attribute("href") or "").lstrip("/"))
    remove_symbol(page, "AAPL")
    list_tab(page, "Coins").click()
    held_change.release()
    expect(page.locator("#said")).to_contain_text("AAPL is no longer")
    page.keyboard.press("/")
    add(page, "ETH/USD")
    held_tab.release()
    expect(row_of(page, "ETH/USD")).to_be_visible()
    assert symbols_on(page) == ["ETH/USD"]


def test_a_second_removal_keeps_the_undo_of_the_first(page: Page):
    row_of(page, "AAPL").get_by_role("link").focus()
    page.keyboard.press("Delete")
    page.keyboard.press("Delete")
    messages = page.locator("#said li")
    first, second = (messages.filter(has_text=f"{symbol} is no longer") for symbol in ("AAPL", "MSFT"))
    expect(second).to_have_count(1)
    expect(first).to_have_count(1)
    expect(page.locator("#undo-button")).to_have_count(1)
    first.get_by_role("button", name="Undo").click()
    expect(row_of(page, "AAPL")).to_be_visible()
    expect(first).to_have_count(0)
    expect(second).to_have_count(1)
    expect(row_of(page, "MSFT")).to_have_count(0)


def test_an_undo_stays_when_another_symbol_is_added(page: Page):
    remove_symbol(page, "AAPL")
    expect(page.locator("#said")).to_contain_text("AAPL is no longer")
    page.keyboard.press("/")
    add(page, "KO")
    expect(page.locator("#said")).to_contain_text("KO is in your list now.")
    page.get_by_role("button", name="Undo").click()
    expect(row_of(page, "AAPL")).to_be_visible()
