"""Live prices in the rows of the page."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.market import put_bars
from tests.support.browser.page import cell, expect_status, row_of
from tests.support.browser.site import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

SHIFT_CLOCK = """
const RealDate = Date;
const now = () => RealDate.now() + MINUTES * 60 * 1000;
Date = class extends RealDate { constructor(...given) { given.length ? super(...given) : super(now()); } };
Date.now = now;
"""


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X"])
def test_a_live_price_updates_its_row(site: Site, open_page: Callable[..., Page], symbol: str):
    site.publish(symbol, 5.0)
    page = open_page()
    expect_status(page, "live", "Live")
    base = float(row_of(page, symbol).get_attribute("data-base"))
    site.publish(symbol, base * 1.5)
    expect(cell(page, symbol, "percent")).to_have_text("+50.00%")
    site.publish(symbol, base / 2)
    expect(cell(page, symbol, "percent")).to_have_text("\u221250.00%")
    expect(cell(page, symbol, "change")).to_have_class("change down")


def test_the_first_price_of_a_symbol_fills_its_row(site: Site, page: Page):
    expect_status(page, "stale", "No prices yet")
    expect(cell(page, "AAPL", "last")).to_have_text("–")
    site.publish("AAPL", 226.84)
    expect(cell(page, "AAPL", "last")).to_have_text("226.84")
    expect(cell(page, "AAPL", "age")).to_have_text(re.compile(r"^(< 1|\d+) s$"))
    expect_status(page, "live", "Live")


def test_an_older_price_does_not_replace_a_newer_one(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    expect_status(page, "live", "Live")
    site.publish("AAPL", 100.0, age=60)
    site.publish("MSFT", 400.0)  # arrives after the older price
    expect(cell(page, "MSFT", "last")).to_have_text("400.00")
    expect(cell(page, "AAPL", "last")).to_have_text("200.00")


def test_a_row_without_updates_becomes_stale_and_recovers(site: Site, open_page: Callable[..., Page]):
    site.publish("MSFT", 400.0, age=200)
    page = open_page()
    expect(row_of(page, "MSFT")).to_have_class("stale")
    expect(cell(page, "MSFT", "age")).to_have_text(re.compile(r"stale \d min"))

    def becomes_fresh() -> bool:
        # The price is stale ten seconds later. It is sent again if the page is too slow to show it before.
        site.publish("AAPL", 200.0, age=20)
        return row_of(page, "AAPL").evaluate("""row => new Promise((answer) => setTimeout(() => {
            const shown = row.querySelector("td.last").textContent === "200.00";
            answer(shown && !row.matches(".stale"));
        }, 500))""")

    wait_until(becomes_fresh)
    expect(row_of(page, "AAPL")).to_have_class("stale")
    expect_status(page, "stale", "No new prices")
    site.publish("MSFT", 401.0)
    expect(row_of(page, "MSFT")).not_to_have_class("stale")
    expect_status(page, "live", "Live")


def test_prices_that_flow_with_old_times_are_told_from_no_new_prices(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0, age=3600)
    page = open_page()
    expect_status(page, "stale", "No new prices")

    def is_delayed() -> bool:
        site.publish("AAPL", 201.0, age=3600)
        return page.locator("#status span").text_content() == "Delayed prices"

    wait_until(is_delayed)
    expect(cell(page, "AAPL", "age")).to_have_text(re.compile("stale"))


@pytest.mark.parametrize("minutes", ["10", "-10"])
def test_ages_do_not_depend_on_the_clock_of_the_browser(site: Site, open_page: Callable[..., Page], minutes: str):
    page = open_page("/livez")
    page.add_init_script(SHIFT_CLOCK.replace("MINUTES", minutes))
    site.publish("AAPL", 200.0)
    site.publish("MSFT", 400.0, age=200)
    page.goto("/")
    expect_status(page, "live", "Live")
    site.publish("AAPL", 201.0)
    expect(cell(page, "AAPL", "last")).to_have_text("201.00")
    expect(cell(page, "AAPL", "age")).to_have_text(re.compile(r"^(< 1|\d+) s$"))
    expect(cell(page, "MSFT", "age")).to_have_text(re.compile(r"stale \d min"))


def record_flashes(page: Page) -> None:
    """Records each flash as `AAPL last flash-up`, because it ends after half a second."""
    page.evaluate("""() => {
        window.flashes = [];
        new MutationObserver((changes) => changes.forEach(({target}) => {
            const flash = `${target.closest("tr")?.dataset.symbol} ${target.className}`;
            if (flash.includes("flash")) window.flashes.push(flash);
        })).observe(document.getElementById("quotes"), {attributes: true, attributeFilter: ["class"], subtree: true});
    }""")


def expect_flash(page: Page, flash: str) -> None:
    page.wait_for_function("flash => window.flashes.includes(flash)", arg=flash)


def test_a_changed_price_flashes_in_the_colour_of_its_direction(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    site.publish("MSFT", 400.0)
    page = open_page()
    expect_status(page, "live", "Live")
    record_flashes(page)
    site.publish("AAPL", 201.0)
    site.publish("MSFT", 399.0)
    expect_flash(page, "AAPL last flash-up")
    expect_flash(page, "MSFT last flash-down")
    expect(cell(page, "AAPL", "last")).to_have_class("last")


def test_prices_do_not_flash_with_reduced_motion(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page(reduced_motion="reduce")
    expect_status(page, "live", "Live")
    record_flashes(page)
    site.publish("AAPL", 201.0)
    expect(cell(page, "AAPL", "last")).to_have_text("201.00")
    assert page.evaluate("window.flashes") == []


def test_a_burst_of_updates_ends_with_the_last_price(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    expect_status(page, "live", "Live")
    for step in range(1, 101):
        site.publish("AAPL", 200.0 + step)
    expect(cell(page, "AAPL", "last")).to_have_text("300.00")


def test_a_live_price_does_not_replace_the_row_element(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    before = row_of(page, "AAPL").element_handle()
    site.publish("AAPL", 201.0)
    expect(cell(page, "AAPL", "last")).to_have_text("201.00")
    assert before.evaluate("row => row.isConnected && row === document.querySelector('tr[data-symbol=AAPL]')")


def test_a_timestamp_in_the_future_has_an_unknown_age_and_is_not_live(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0, age=-240)
    page = open_page()
    expect(cell(page, "AAPL", "age")).to_have_text("–")
    expect_status(page, "stale", "Age of prices unknown")
    site.publish("AAPL", 201.0, age=-241)
    site.publish("MSFT", 400.0)
    expect_status(page, "live", "Live")
    expect(cell(page, "MSFT", "age")).to_have_text(re.compile(r"^(< 1|\d+) s$"))
    expect(cell(page, "AAPL", "age")).to_have_text("–")


def test_an_update_with_a_key_named_type_changes_nothing(site: Site, open_page: Callable[..., Page]):
    site.publish("AAPL", 200.0)
    page = open_page()
    expect_status(page, "live", "Live")
    base = float(row_of(page, "AAPL").get_attribute("data-base"))
    site.publish("AAPL", base * 3, type="ticker", base=0, decimals=2)  # malformed: the gateway drops it
    site.publish("AAPL", base * 1.5)
    expect(cell(page, "AAPL", "percent")).to_have_text("+50.00%")
    expect(cell(page, "AAPL", "change")).to_have_class("change up")


CLOSE = (
    "from feeds.models import Tape; Tape.objects.update_or_create(symbol='AAPL', defaults={'previous_close': 200.0})"
)
NO_CLOSES = "from feeds.models import Tape; Tape.objects.all().delete()"


@pytest.fixture
def close_of_aapl(site: Site) -> Iterator[Callable[[], None]]:
    """Returns a function that gives AAPL its first previous close, as the recorder does when a market day ends."""
    yield lambda: site.manage("shell", "--verbosity", "0", "-c", CLOSE)
    site.manage("shell", "--verbosity", "0", "-c", NO_CLOSES)


def test_the_heading_names_the_new_reference_price_after_the_first_close(
    site: Site, open_page: Callable[..., Page], close_of_aapl: Callable[[], None]
):
    site.publish("AAPL", 220.0)
    page = open_page()
    expect_status(page, "live", "Live")
    expect(page.locator("th.change")).to_contain_text("Change from base price")
    close_of_aapl()
    expect(cell(page, "AAPL", "percent")).to_have_text("+10.00%")
    expect(page.locator("th.change")).to_contain_text("Change from previous close or base")
    expect(page.locator("#quotes caption")).to_contain_text("change from previous close or base")


def test_a_sparkline_marks_a_reference_price_that_its_range_reaches_later(site: Site, open_page: Callable[..., Page]):
    base = 226.84
    put_bars(site.redis, {"AAPL": base * 2})
    site.publish("AAPL", base * 2)
    page = open_page()
    expect_status(page, "live", "Live")
    level = row_of(page, "AAPL").locator("path.level")
    expect(level).to_have_attribute("d", "")

    def is_marked() -> bool:
        site.publish("AAPL", base / 2)  # again, because a sparkline is painted every two seconds only
        return level.get_attribute("d").startswith("M0 ")

    wait_until(is_marked)
