"""Changes of lists that overlap: in two tabs, in two requests, or with signing in and out."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import (
    cell,
    create_list,
    expect_status,
    list_tab,
    remove_symbol,
    row_of,
    sign_in,
    submit_new_list,
)
from tests.support.browser.site import STAFF, Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser


def test_a_change_in_one_tab_appears_in_another_tab_of_the_account(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    sign_in(page)
    other = page.context.new_page()
    other.goto("/")
    expect_status(other, "live", "Live")
    try:
        remove_symbol(page, "MSFT")
        expect(row_of(other, "MSFT")).to_have_count(0)
        create_list(page, "Coins")
        expect(list_tab(other, "Coins")).to_be_visible()
        site.publish("AAPL", 201.0)
        expect(cell(other, "AAPL", "last")).to_have_text("201.00")
    finally:
        site.delete_lists()


def test_a_list_frame_before_the_answer_that_creates_the_list_does_not_change_the_shown_list(site: Site, page: Page):
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    sign_in(page)
    site.publish("AAPL", 200.0)
    expect_status(page, "live", "Live")
    held_answers = []
    requests = []
    page.route("**/lists/change/", lambda route: held_answers.append((route, route.fetch(max_redirects=0))))
    page.on("request", lambda request: requests.append(request.url) if request.resource_type == "xhr" else None)
    try:
        submit_new_list(page, "Coins")
        wait_until(lambda: page.evaluate("1") and any('"type":"list"' in frame for frame in frames))
        [(route, answer)] = held_answers
        route.fulfill(response=answer)
        expect(list_tab(page, "Coins")).to_have_attribute("aria-current", "page")
        expect(page.locator("#tabs [aria-current]")).to_have_count(1)
        assert len(requests) == 2, "the change, and the page after its redirect"
        # Later changes in other tabs still appear.
        page.get_by_role("combobox").fill("AAPL")
        page.get_by_role("combobox").press("Enter")
        expect(row_of(page, "AAPL")).to_be_visible()
        expect_status(page, "live", "Live")
        other = page.context.new_page()
        other.goto("/")
        remove_symbol(other, "AAPL")
        expect(list_tab(page, "Main")).to_contain_text("11")
    finally:
        site.delete_lists()


def test_a_tab_that_is_chosen_during_a_change_is_shown_after_it(page: Page):
    held_answers = []
    page.route("**/lists/change/", lambda route: held_answers.append((route, route.fetch(max_redirects=0))))
    submit_new_list(page, "Coins")
    wait_until(lambda: page.evaluate("1") and held_answers)
    list_tab(page, "Main").evaluate("link => link.click()")
    [(route, answer)] = held_answers
    route.fulfill(response=answer)
    expect(list_tab(page, "Coins")).to_be_visible()
    expect(list_tab(page, "Main")).to_have_attribute("aria-current", "page")
    expect(page.locator("#tabs, #tabs nav")).to_have_count(2)


def test_a_change_after_a_sign_in_in_another_tab_fails_and_offers_a_reload(page: Page, browser_errors: list[str]):
    other = page.context.new_page()
    sign_in(other)
    remove_symbol(page, "AAPL")
    expect(page.locator("#said .error")).to_contain_text("Not changed: you signed in or out in another tab.")
    page.get_by_role("link", name="Reload the page").click()
    expect(page.get_by_title(f"Signed in as {STAFF}")).to_be_visible()
    expect(row_of(page, "AAPL")).to_be_visible()
    browser_errors[:] = [text for text in browser_errors if "403" not in text]


def test_a_change_after_the_session_has_ended_reloads_the_page_and_explains_why(site: Site, page: Page):
    sign_in(page)
    create_list(page, "Coins")
    page.context.clear_cookies(name="sessionid")
    page.get_by_title("Change this list").click()
    page.get_by_role("button", name="Delete this list").click()
    expect(page.locator("#said .error")).to_have_text(
        "Nothing was changed. Your session has ended. Sign in again to see your lists."
    )
    expect(page.get_by_role("navigation").get_by_role("link", name="Sign in")).to_be_visible()
    sign_in(page)
    expect(list_tab(page, "Coins")).to_be_visible()
    site.delete_lists()
