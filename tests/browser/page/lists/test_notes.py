"""Notes about symbols: written in the drawer, shown in the row."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.axe import violations_on
from tests.support.browser.page import DESKTOP, PHONE, expect_status, remove_symbol, row_of, sign_in
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser


def test_a_note_is_written_in_the_drawer_without_a_reload(page: Page):
    expect_status(page, "stale", "No prices yet")
    page.evaluate("window.neverReloaded = true")
    row_of(page, "AAPL").get_by_role("link", name="AAPL").click()
    field = page.get_by_label("Note in “Main”")
    field.fill("sell  at <b>250")
    field.press("Enter")
    expect(row_of(page, "AAPL").locator(".remark")).to_have_text("sell at <b>250")
    expect(page.locator("#announcer")).to_contain_text("The note about AAPL is saved.")
    expect(field).to_be_focused()
    field.fill("")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator(".remark")).to_have_count(0)
    assert page.evaluate("window.neverReloaded")


def test_a_removed_symbol_returns_with_its_note(page: Page):
    row_of(page, "AAPL").get_by_role("link", name="AAPL").click()
    page.get_by_label("Note in “Main”").fill("sell at 250")
    page.get_by_role("button", name="Save note").click()
    expect(row_of(page, "AAPL").locator(".remark")).to_have_text("sell at 250")
    remove_symbol(page, "AAPL")
    expect(page.get_by_label("Note in “Main”")).to_have_count(0)
    page.locator("#undo-button").click()
    expect(row_of(page, "AAPL").locator(".remark")).to_have_text("sell at 250")
    expect(page.get_by_label("Note in “Main”")).to_have_value("sell at 250")


def test_a_note_that_is_being_typed_survives_a_change_on_another_page(site: Site, open_page: Callable[..., Page]):
    site.delete_lists()
    first = open_page()
    sign_in(first)
    second = first.context.new_page()
    second.goto("/")
    for page in (first, second):
        expect_status(page, "stale", "No prices yet")
        row_of(page, "AAPL").get_by_role("link", name="AAPL").click()
    first.get_by_label("Note in “Main”").fill("not saved yet")
    second.get_by_label("Note in “Main”").fill("from the other page")
    second.get_by_role("button", name="Save note").click()
    expect(row_of(first, "AAPL").locator(".remark")).to_have_text("from the other page")
    expect(first.get_by_label("Note in “Main”")).to_have_value("not saved yet")
    first.get_by_role("button", name="Save note").click()
    expect(row_of(second, "AAPL").locator(".remark")).to_have_text("not saved yet")
    expect(second.get_by_label("Note in “Main”")).to_have_value("not saved yet")


def test_a_note_is_written_without_javascript(open_page: Callable[..., Page]):
    page = open_page("/s/AAPL", java_script_enabled=False)
    page.get_by_label("Note in “Main”").fill("sell at 250")
    page.get_by_role("button", name="Save note").click()
    expect(page.get_by_text("The note about AAPL is saved.")).to_be_visible()
    expect(page.get_by_label("Note in “Main”")).to_have_value("sell at 250")
    expect(row_of(page, "AAPL").locator(".remark")).to_have_text("sell at 250")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_rows_with_notes_have_no_violations(site: Site, open_page: Callable[..., Page], theme: str, options: dict):
    site.publish("AAPL", 226.84)
    page = open_page("/s/AAPL", color_scheme=theme, **options)
    expect_status(page, "live", "Live")
    page.get_by_label("Note in “Main”").fill("sell at 250")
    page.get_by_role("button", name="Save note").click()
    expect(row_of(page, "AAPL").locator(".remark")).to_have_text("sell at 250")
    assert violations_on(page) == []
