"""What the page shows of the states of real sources and of their symbols."""

import re
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from playwright.sync_api import Page, expect

from feeds.store.feed_state import FEED_PREFIX, FeedState
from tests.support.browser.axe import violations_on
from tests.support.browser.page import DESKTOP, PHONE, cell, create_list, expect_status, list_tab, row_of, scroll_width
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser

COINS = ["BTC/USD", "ETH/USD"]
SET_SOURCE = f"from feeds.models import Ticker; Ticker.objects.filter(symbol__in={COINS}).update(source=%r)"
STALE = re.compile(r"\bstale\b")


def put_state(site: Site, state: str, reason: str = "", **symbols: list[str]) -> None:
    now = int(time.time() * 1_000_000)
    site.redis.set(FEED_PREFIX + "kraken", msgspec.json.encode(FeedState(state, reason, now, now, symbols)))


@pytest.fixture
def kraken_site(site: Site) -> Iterator[Site]:
    """A site with two tickers of Kraken, which is connected."""
    site.manage("shell", "--verbosity", "0", "-c", SET_SOURCE % "kraken")
    put_state(site, "connected")
    yield site
    site.manage("shell", "--verbosity", "0", "-c", SET_SOURCE % "simulated")


def add_coins(page: Page) -> None:
    create_list(page, "Coins")
    page.get_by_role("combobox").fill("BTC/USD, ETH/USD")
    page.get_by_role("combobox").press("Enter")
    expect(row_of(page, "ETH/USD")).to_be_visible()


@pytest.fixture
def coins_page(kraken_site: Site, open_page: Callable[..., Page]) -> Page:
    """A page with a list of two old prices of Kraken."""
    for symbol in ("BTC/USD", "ETH/USD"):
        kraken_site.publish(symbol, 4000.0, age=200)
    page = open_page(**DESKTOP)
    add_coins(page)
    return page


def test_a_quiet_symbol_of_a_connected_source_is_not_grey_and_shows_its_age(coins_page: Page):
    expect(cell(coins_page, "BTC/USD", "age")).to_have_text(re.compile(r"^\d min$"))
    expect(row_of(coins_page, "BTC/USD")).not_to_have_class(STALE)
    expect_status(coins_page, "live", "Live")


def test_the_status_names_a_silent_source_and_its_rows_are_stale_until_it_is_connected(
    kraken_site: Site, coins_page: Page
):
    expect_status(coins_page, "live", "Live")
    put_state(kraken_site, "silent")
    expect_status(coins_page, "stale", "Kraken: silent")
    expect(row_of(coins_page, "BTC/USD")).to_have_class(STALE)
    expect(cell(coins_page, "BTC/USD", "age")).to_have_text(re.compile(r"^stale \d min$"))
    put_state(kraken_site, "connected")
    expect_status(coins_page, "live", "Live")
    expect(row_of(coins_page, "BTC/USD")).not_to_have_class(STALE)


def test_the_label_of_the_sources_follows_the_list(coins_page: Page):
    badge, note = coins_page.locator("header .source"), coins_page.locator("footer p").first
    expect(badge).to_have_text("Kraken")
    expect(note).to_contain_text("Prices from Kraken. Not investment advice.")
    list_tab(coins_page, "Main").click()
    expect(badge).to_have_text("Mixed sources")
    expect(badge).to_have_attribute("title", "Prices from Kraken, some simulated")
    expect(note).to_contain_text("Prices from Kraken, some simulated. Not investment advice.")
    list_tab(coins_page, "Coins").click()
    expect(badge).to_have_text("Kraken")


@pytest.mark.parametrize("state", ["reconnecting", "maintenance"])
def test_the_status_names_the_state_of_a_source(kraken_site: Site, coins_page: Page, state: str):
    put_state(kraken_site, state, "the exchange says so")
    expect_status(coins_page, "stale", f"Kraken: {state}")
    expect(coins_page.locator("#status")).to_have_attribute("title", "the exchange says so")


def test_the_status_says_why_a_source_refuses(kraken_site: Site, coins_page: Page):
    put_state(kraken_site, "refused", "the key is wrong")
    expect_status(coins_page, "stale", "Kraken: refused")
    expect(coins_page.locator("#status small")).to_have_text("the key is wrong")


def test_without_a_feeder_the_source_is_reconnecting(kraken_site: Site, coins_page: Page):
    kraken_site.redis.delete(FEED_PREFIX + "kraken")
    expect_status(coins_page, "stale", "Kraken: reconnecting")
    expect(coins_page.locator("#status")).to_have_attribute("title", "runfeed is not running")


@pytest.mark.parametrize(("state", "word"), [("closed", "Closed"), ("halted", "Halted"), ("unknown", "Unknown")])
def test_a_symbol_that_is_not_traded_shows_a_word_and_its_last_price(
    kraken_site: Site, coins_page: Page, state: str, word: str
):
    put_state(kraken_site, "connected", **{state: ["BTC/USD"]})
    expect(cell(coins_page, "BTC/USD", "age")).to_have_text(word)
    expect(cell(coins_page, "BTC/USD", "last")).to_have_text("4,000.0")
    expect(cell(coins_page, "ETH/USD", "age")).to_have_text(re.compile(r"^\d min$"))
    coins_page.reload()
    expect(cell(coins_page, "BTC/USD", "age")).to_have_text(word)
    put_state(kraken_site, "connected")
    expect(cell(coins_page, "BTC/USD", "age")).to_have_text(re.compile(r"^\d min$"))


def test_the_status_says_that_the_market_of_all_symbols_is_closed(kraken_site: Site, coins_page: Page):
    put_state(kraken_site, "connected", closed=["BTC/USD"])
    expect(cell(coins_page, "BTC/USD", "age")).to_have_text("Closed")
    expect_status(coins_page, "live", "Live")
    put_state(kraken_site, "connected", closed=COINS)
    expect_status(coins_page, "live", "Market closed")
    expect(coins_page.locator("#status small")).to_have_text("")
    put_state(kraken_site, "silent", closed=COINS)
    expect_status(coins_page, "stale", "Kraken: silent")


def test_a_new_price_of_a_stale_row_has_no_coloured_background(kraken_site: Site, coins_page: Page):
    put_state(kraken_site, "maintenance")
    expect(row_of(coins_page, "BTC/USD")).to_have_class(STALE)
    coins_page.evaluate("document.querySelector('tr[data-symbol=\"BTC/USD\"] td.last').classList.add('flash-down')")
    assert violations_on(coins_page) == []


def test_a_phone_shows_the_age_of_a_quiet_symbol_and_the_word_of_a_closed_one(
    kraken_site: Site, open_page: Callable[..., Page]
):
    for symbol in ("BTC/USD", "ETH/USD"):
        kraken_site.publish(symbol, 4000.0, age=200)
    put_state(kraken_site, "connected", closed=["BTC/USD"])
    page = open_page(**PHONE)
    add_coins(page)
    expect(cell(page, "BTC/USD", "age")).to_have_text("Closed")
    expect(cell(page, "ETH/USD", "age")).to_have_text(re.compile(r"^\d min$"))
    for symbol in ("BTC/USD", "ETH/USD"):
        expect(cell(page, symbol, "age")).to_be_visible()
    put_state(kraken_site, "refused", "a long reason " * 9)
    expect_status(page, "stale", "Kraken: refused")
    assert scroll_width(page) == 360


def test_the_states_are_shown_without_javascript(kraken_site: Site, open_page: Callable[..., Page]):
    kraken_site.publish("BTC/USD", 4000.0, age=200)
    put_state(kraken_site, "connected", closed=["BTC/USD"])
    page = open_page(java_script_enabled=False)
    expect(cell(page, "BTC/USD", "age")).to_have_text("Closed")
    put_state(kraken_site, "silent", closed=["BTC/USD"])
    page.reload()
    expect(cell(page, "BTC/USD", "age")).to_have_text(re.compile(r"^stale "))


def test_an_old_simulated_price_is_still_stale_beside_a_connected_source(
    kraken_site: Site, open_page: Callable[..., Page]
):
    kraken_site.publish("AAPL", 200.0, age=200)
    kraken_site.publish("BTC/USD", 4000.0, age=200)
    page = open_page(**DESKTOP)
    expect(row_of(page, "AAPL")).to_have_class(STALE)
    expect(row_of(page, "BTC/USD")).not_to_have_class(STALE)
    expect_status(page, "stale", "No new prices")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("state", "symbols"), [("connected", {"closed": ["BTC/USD"], "unknown": ["ETH/USD"]}), ("refused", {})]
)
def test_the_states_have_no_violations(kraken_site: Site, coins_page: Page, theme: str, state: str, symbols: dict):
    put_state(kraken_site, state, "the key is wrong", **symbols)
    expect_status(coins_page, *(("live", "Live") if state == "connected" else ("stale", "Kraken: refused")))
    expect(row_of(coins_page, "ETH/USD")).to_have_class(STALE)
    coins_page.emulate_media(color_scheme=theme)
    assert violations_on(coins_page) == []
