"""Changes of lists and of the symbols in them."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.page import (
    cell,
    create_list,
    expect_first_rows,
    expect_status,
    list_tab,
    remove_symbol,
    row_of,
    rows_of,
)
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser


def test_lists_are_created_renamed_and_deleted_without_a_reload(site: Site, page: Page):
    site.publish("BTC/USD", 98000.0)
    page.evaluate("window.neverReloaded = true")
    create_list(page, "Coins")
    expect(page).to_have_title("Coins · simulated prices · stockwatch")
    page.keyboard.press("/")
    page.keyboard.type("BTC/USD, eth/usd")
    page.keyboard.press("Enter")
    expect(rows_of(page)).to_have_count(2)
    site.publish("ETH/USD", 3400.0)
    expect(cell(page, "ETH/USD", "last")).to_have_text("3,400.00")
    page.get_by_title("Change this list").click()
    page.get_by_label("Name", exact=True).fill("Crypto")
    page.get_by_role("button", name="Rename").click()
    expect(list_tab(page, "Crypto")).to_be_visible()
    page.get_by_title("Change this list").click()
    page.get_by_role("button", name="Delete this list").click()
    expect(rows_of(page)).to_have_count(12)
    page.get_by_role("button", name="Undo").click()
    expect(list_tab(page, "Crypto")).to_have_attribute("aria-current", "page")
    expect(rows_of(page)).to_have_count(2)
    list_tab(page, "Main").click()
    expect(rows_of(page)).to_have_count(12)
    page.go_back()
    expect(rows_of(page)).to_have_count(2)
    assert page.evaluate("window.neverReloaded")


def test_an_unknown_symbol_is_explained_and_stays_in_the_field(page: Page):
    page.keyboard.press("/")
    page.keyboard.type("NOPE")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("No ticker is called NOPE")
    expect(page.get_by_role("status")).to_contain_text("No ticker is called NOPE")
    expect(page.get_by_role("combobox")).to_have_value("NOPE")


def test_buttons_and_dragging_move_rows(page: Page):
    row_of(page, "NVDA").get_by_label("Actions for NVDA").click()
    page.get_by_role("button", name="To the top").click()
    expect_first_rows(page, "NVDA", "AAPL", "MSFT")
    row_of(page, "MSFT").hover()
    expect(row_of(page, "MSFT").locator(".grip")).to_be_visible()
    grip = row_of(page, "MSFT").locator(".grip").bounding_box()
    target = row_of(page, "NVDA").bounding_box()
    page.mouse.move(grip["x"] + 5, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(grip["x"] + 5, target["y"] + 30, steps=4)
    page.mouse.move(grip["x"] + 5, target["y"] + 5, steps=4)
    page.mouse.up()
    expect_first_rows(page, "MSFT", "NVDA", "AAPL")
    page.reload()
    expect_first_rows(page, "MSFT", "NVDA", "AAPL")


def test_an_empty_list_opens_no_socket_and_offers_symbols(site: Site, page: Page):
    page.get_by_role("button", name="Start with an empty list").click()
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
    expect(page.locator("#status")).to_have_attribute("data-state", "still")
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket))
    page.reload()
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()
    assert sockets == []
    page.get_by_role("button", name="AAPL Apple").click()
    expect(rows_of(page)).to_have_count(1)
    expect_status(page, "stale", "No prices yet")
    assert len(sockets) == 1


def test_an_import_shows_a_preview_first(page: Page):
    page.goto("/transfer/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    assert download.value.suggested_filename == "stockwatch-simulated.csv"
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "lists.csv", "mimeType": "text/csv", "buffer": b"Coins,BTC/USD\nCoins,NOPE"}
    )
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("cell", name="No ticker is called NOPE.")).to_be_visible()
    page.get_by_role("button", name="Import").click()
    expect(row_of(page, "BTC/USD")).to_be_visible()
    expect(rows_of(page)).to_have_count(1)
    remove_symbol(page, "BTC/USD")
    expect(page.get_by_role("heading", name="This list is empty")).to_be_visible()


def test_a_change_of_the_theme_keeps_the_preview_of_an_import(page: Page):
    page.goto("/transfer/")
    page.get_by_label("Or paste its lines").fill("Coins,BTC/USD\nCoins,NOPE")
    page.get_by_title("Appearance").click()
    page.get_by_role("button", name="Light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.get_by_label("Or paste its lines")).to_have_value("Coins,BTC/USD\nCoins,NOPE")
    page.get_by_role("button", name="Preview").click()
    page.get_by_title("Appearance").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("cell", name="No ticker is called NOPE.")).to_be_visible()
    page.get_by_role("button", name="Import").click()
    expect(row_of(page, "BTC/USD")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
