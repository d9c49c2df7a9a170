"""Prices as people write them where they come from: the server and the script alike, to the character."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.market import put_bars
from tests.support.browser.page import cell, expect_state
from tests.support.browser.site import Site
from watchlist.formatting.numerals import MINUS

pytestmark = pytest.mark.browser

FIGURES = "#quotes tbody :is(.last, .value, .percent, .open, .high, .low)"
WRITTEN = {
    "en-US": "98,234.5",
    "de-DE": "98.234,5",
    "en-IN": "98,234.5",
    "fr-FR": "98\u202f234,5",
    "sv-SE": "98\xa0234,5",
}
LAKHS = {"en-US": "1,234,567.0", "de-DE": "1.234.567,0", "en-IN": "12,34,567.0"}


def figures(page: Page) -> list[str]:
    return page.locator(FIGURES).all_text_contents()


@pytest.mark.parametrize("language", WRITTEN)
def test_the_script_takes_over_without_changing_a_character(site: Site, open_page: Callable[..., Page], language: str):
    prices = {"AAPL": 1226.84, "BTC/USD": 98234.5, "EURUSD=X": 1.0418}
    put_bars(site.redis, prices)
    for symbol, price in prices.items():
        site.publish(symbol, price)
    still = open_page(locale=language, java_script_enabled=False)
    expect(cell(still, "BTC/USD", "last")).to_have_text(WRITTEN[language], use_inner_text=True)
    live = open_page(locale=language)
    expect_state(live, "live", "Live")
    # Each row is painted anew before that of a later price.
    site.publish("GLD", 1000.0)
    expect(cell(live, "GLD", "percent")).not_to_have_text("–")
    still.reload()
    assert figures(live) == figures(still)


@pytest.mark.parametrize("language", LAKHS)
def test_live_prices_are_written_so_too_and_in_the_drawer(site: Site, open_page: Callable[..., Page], language: str):
    site.publish("BTC/USD", 97000.0)
    page = open_page("/s/BTC/USD", locale=language)
    expect_state(page, "live", "Live")
    site.publish("BTC/USD", 1234567.0)
    expect(cell(page, "BTC/USD", "last")).to_have_text(LAKHS[language])
    expect(page.locator("#drawer .last")).to_have_text(LAKHS[language])
    site.publish("BTC/USD", 97001.0)
    point = LAKHS[language][-2]
    expect(cell(page, "BTC/USD", "change").locator(".value")).to_have_text(f"{MINUS}100{point}0")
