"""Shared lists: making the link, the live page, revoking, copying."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.axe import violations_on
from tests.support.browser.page import (
    BLOCK_SOCKETS,
    BLOCK_STREAMS,
    DESKTOP,
    PHONE,
    cell,
    create_list,
    expect_first_rows,
    expect_status,
    remove_symbol,
    row_of,
    rows_of,
    sign_in,
)
from tests.support.browser.site import PASSWORD, STAFF, Site

pytestmark = pytest.mark.browser


@pytest.fixture
def owner(site: Site, open_page: Callable[..., Page]) -> Page:
    """The page of a signed-in account with the list “Tech” of two symbols."""
    site.delete_lists()
    page = open_page()
    sign_in(page)
    create_list(page, "Tech")
    add(page, "MSFT, AAPL")
    expect_first_rows(page, "MSFT", "AAPL")
    return page


def add(page: Page, symbols: str) -> None:
    page.get_by_role("combobox").fill(symbols)
    page.get_by_role("combobox").press("Enter")


def share(page: Page) -> str:
    """Shares the list that the page shows, from its menu. Returns the address of the shared page."""
    page.get_by_title("Change this list").click()
    page.get_by_role("link", name="Share by a link").click()
    page.get_by_role("button", name="Make a link").click()
    return page.get_by_label("Link to “Tech”").input_value()


def ignore_missing_page(browser_errors: list[str]) -> None:
    browser_errors[:] = [text for text in browser_errors if "404" not in text]


def test_a_shared_page_is_live_and_follows_the_owner(site: Site, owner: Page, open_page: Callable[..., Page]):
    reader = open_page(share(owner))
    expect_first_rows(reader, "MSFT", "AAPL")
    reader.evaluate("window.neverReloaded = true")
    site.publish("AAPL", 226.84)
    expect(cell(reader, "AAPL", "last")).to_have_text("226.84")
    expect_status(reader, "live", "Live")
    owner.get_by_role("link", name="Back to the list").click()
    add(owner, "NVDA")
    expect(row_of(reader, "NVDA")).to_be_visible()
    site.publish("NVDA", 141.95)
    expect(cell(reader, "NVDA", "last")).to_have_text("141.95")
    remove_symbol(owner, "MSFT")
    expect(row_of(reader, "MSFT")).to_have_count(0)
    site.wait_until_unsubscribed("MSFT")
    owner.get_by_title("Change this list").click()
    owner.get_by_label("Name", exact=True).fill("Chips")
    owner.get_by_role("button", name="Rename").click()
    expect(reader.get_by_role("heading", name="Chips")).to_be_visible()
    expect(reader).to_have_title("Chips · simulated prices · stockwatch")
    reader.get_by_role("button", name="Pause").click()
    expect_status(reader, "paused", "Paused")
    assert reader.evaluate("window.neverReloaded")


def test_an_open_page_loses_the_list_when_the_link_is_revoked(
    owner: Page, open_page: Callable[..., Page], browser_errors: list[str]
):
    address = share(owner)
    reader = open_page(address)
    expect_status(reader, "stale", "No prices yet")
    owner.get_by_role("button", name="Revoke the link").click()
    expect(reader.get_by_role("heading", name="This link shows no list")).to_be_visible()
    expect(rows_of(reader)).to_have_count(0)
    expect(reader.get_by_text("Tech")).to_have_count(0)
    assert violations_on(reader) == []
    ignore_missing_page(browser_errors)


def test_an_empty_shared_page_follows_the_owner_and_ends_with_the_link(
    owner: Page, open_page: Callable[..., Page], browser_errors: list[str]
):
    for symbol in ("MSFT", "AAPL"):
        remove_symbol(owner, symbol)
    expect(owner.get_by_role("heading", name="This list is empty")).to_be_visible()
    reader = open_page(share(owner))
    expect(reader.get_by_role("heading", name="This list is empty")).to_be_visible()
    expect(reader.locator("#status")).to_be_hidden()
    assert violations_on(reader) == []
    owner.get_by_role("link", name="Back to the list").click()
    add(owner, "NVDA")
    expect(row_of(reader, "NVDA")).to_be_visible()
    expect_status(reader, "stale", "No prices yet")
    remove_symbol(owner, "NVDA")
    expect(reader.get_by_role("heading", name="This list is empty")).to_be_visible()
    owner.get_by_title("Change this list").click()
    owner.get_by_role("link", name="Shared by a link").click()
    owner.get_by_role("button", name="Revoke the link").click()
    expect(reader.get_by_role("heading", name="This link shows no list")).to_be_visible()
    ignore_missing_page(browser_errors)


@pytest.mark.parametrize(
    ("blocked", "label"),
    [(BLOCK_SOCKETS, "No prices yet"), (BLOCK_SOCKETS + BLOCK_STREAMS, "Delayed: polling")],
    ids=["stream", "polling"],
)
def test_a_page_without_a_socket_loses_the_list_too(
    owner: Page, open_page: Callable[..., Page], browser_errors: list[str], blocked: str, label: str
):
    reader = open_page()
    reader.add_init_script(blocked)
    reader.goto(share(owner))
    expect(reader.locator("#status span")).to_have_text(label)
    owner.get_by_role("button", name="Revoke the link").click()
    expect(reader.get_by_role("heading", name="This link shows no list")).to_be_visible()
    ignore_missing_page(browser_errors)


@pytest.mark.parametrize("has_scripts", [True, False])
def test_a_reader_signs_in_and_copies_the_list(owner: Page, open_page: Callable[..., Page], has_scripts: bool):
    reader = open_page(share(owner), java_script_enabled=has_scripts)
    expect_first_rows(reader, "MSFT", "AAPL")
    reader.get_by_role("link", name="Sign in to copy this list").click()
    reader.get_by_label("Username").fill(STAFF)
    reader.get_by_label("Password").fill(PASSWORD)
    reader.locator("main").get_by_role("button", name="Sign in").click()
    reader.get_by_role("button", name="Copy to my lists").click()
    expect(reader.locator("#tabs [aria-current]")).to_have_text("Tech 2 2 symbols")
    expect_first_rows(reader, "MSFT", "AAPL")


def test_a_link_is_made_and_revoked_without_javascript(open_page: Callable[..., Page], site: Site):
    site.delete_lists()
    page = open_page("/sign-in/", java_script_enabled=False)
    sign_in(page)
    page.goto("/list/share/")
    page.get_by_role("button", name="Make a link").click()
    assert "/shared/" in page.get_by_label("Link to “Main”").input_value()
    page.get_by_role("button", name="Revoke the link").click()
    expect(page.get_by_text("The link is revoked.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_pages_of_a_shared_list_have_no_violations(
    site: Site, owner: Page, open_page: Callable[..., Page], theme: str, options: dict
):
    address = share(owner)
    assert violations_on(owner) == []
    site.publish("AAPL", 226.84)
    reader = open_page(address, color_scheme=theme, **options)
    expect_status(reader, "live", "Live")
    assert violations_on(reader) == []
    sign_in(reader)
    reader.goto(f"{address}/copy/")
    assert violations_on(reader) == []
    reader.goto("/list/share/")
    assert violations_on(reader) == []
