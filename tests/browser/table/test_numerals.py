"""Numbers in the numerals of the browser's language: the server and the script write the same text."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.market import put_bars
from tests.support.browser.page import cell, expect_status
from tests.support.browser.site import Site
from watchlist.formatting.numerals import MINUS

pytestmark = pytest.mark.browser

NUMBER_CELLS = "#quotes tbody :is(.last, .value, .percent, .open, .high, .low)"
BITCOIN_TEXTS = {
    "en-US": "98,234.5",
    "de-DE": "98.234,5",
    "en-IN": "98,234.5",
    "fr-FR": "98\u202f234,5",
    "sv-SE": "98\xa0234,5",
}
MILLION_TEXTS = {"en-US": "1,234,567.0", "de-DE": "1.234.567,0", "en-IN": "12,34,567.0"}


def number_texts(page: Page) -> list[str]:
    return page.locator(NUMBER_CELLS).all_text_contents()


@pytest.mark.parametrize("language", BITCOIN_TEXTS)
def test_the_script_writes_the_same_text_as_the_server(site: Site, open_page: Callable[..., Page], language: str):
    prices = {"AAPL": 1226.84, "BTC/USD": 98234.5, "EURUSD=X": 1.0418}
    put_bars(site.redis, prices)
    for symbol, price in prices.items():
        site.publish(symbol, price)
    static = open_page(locale=language, java_script_enabled=False)
    expect(cell(static, "BTC/USD", "last")).to_have_text(BITCOIN_TEXTS[language], use_inner_text=True)
    live = open_page(locale=language)
    expect_status(live, "live", "Live")
    # All rows are repainted before a later price appears.
    site.publish("GLD", 1000.0)
    expect(cell(live, "GLD", "percent")).not_to_have_text("–")
    static.reload()
    assert number_texts(live) == number_texts(static)


@pytest.mark.parametrize("language", MILLION_TEXTS)
def test_live_prices_in_the_table_and_the_drawer_use_the_numerals(
    site: Site, open_page: Callable[..., Page], language: str
):
    site.publish("BTC/USD", 97000.0)
    page = open_page("/s/BTC/USD", locale=language)
    expect_status(page, "live", "Live")
    site.publish("BTC/USD", 1234567.0)
    expect(cell(page, "BTC/USD", "last")).to_have_text(MILLION_TEXTS[language])
    expect(page.locator("#drawer .last")).to_have_text(MILLION_TEXTS[language])
    site.publish("BTC/USD", 97001.0)
    decimal_mark = MILLION_TEXTS[language][-2]
    expect(cell(page, "BTC/USD", "change").locator(".value")).to_have_text(f"{MINUS}100{decimal_mark}0")
