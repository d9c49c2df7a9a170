"""The modules that draw: the table, sparklines and the chart."""

import pytest
from playwright.sync_api import Page

from tests.support.browser.modules import run_module

pytestmark = pytest.mark.browser

TABLE_OF_ONE_ROW = """
window.IntersectionObserver = class { observe() {} unobserve() {} };
document.body.innerHTML = `<table><tr data-symbol="A" data-base="100" data-decimals="2">
    <th><span class="name"></span></th><td class="last"></td>
    <td class="change"><span class="arrow"></span><span class="value"></span></td>
    <td class="percent"></td><td class="age"><time></time></td></tr></table>`;
const { Quotes } = await import("/static/watchlist/quotes.js");
const { readRow } = await import("/static/watchlist/row.js");
const row = document.querySelector("tr");
const quotes = new Quotes();
quotes.watch("A", readRow(row));
const table = new module.Table(quotes, { now: () => 0 }, 5000);
table.sync([row]);
window.send = (price) => {
  quotes.applyUpdate({ symbol: "A", price, timestamp: price * 1000, seq_id: 1 });
  table.markChanged("A");
};
"""


def test_a_row_is_painted_at_most_four_times_a_second_and_ends_with_the_last_price(blank_page: Page):
    run_module(blank_page, "table", TABLE_OF_ONE_ROW)
    shown = []
    for price in range(1, 201):
        blank_page.evaluate("price => send(price)", price)
        blank_page.clock.run_for(10)
        shown.append(blank_page.locator(".last").text_content())
    assert 4 <= len(set(shown) - {""}) <= 9, shown
    blank_page.clock.run_for(500)
    assert blank_page.locator(".last").text_content() == "200.00"


DRAWER = """
document.body.innerHTML = `<section data-symbol="A" data-base="100" data-decimals="2" data-price="150"
    data-timestamp="1" data-seq="1"><p class="name"></p><span class="last"></span>
    <span class="change"><span class="arrow"></span><span class="value"></span></span><span class="percent"></span>
    <span data-reference-after-close="previous close">base price</span><b data-previous-close>–</b>
    <b data-base-price>100.00</b><b class="open"></b><b class="high"></b><b class="low"></b>
    <span class="age"><time></time></span></section>`;
const { Quotes } = await import("/static/watchlist/quotes.js");
const section = document.querySelector("section");
const quotes = new Quotes();
quotes.watch("A", module.readRow(section));
const row = new module.Row(section, 150);
const texts = () => ["[data-reference-after-close]", "[data-previous-close]", "[data-base-price]", ".percent"].map(
  (selector) => section.querySelector(selector).textContent);
return given.map((ticker) => {
  quotes.applyTicker({ symbol: "A", name: "A", decimals: 2, ...ticker });
  row.paint(quotes.get("A"), false, 0);
  return texts();
});
"""


def test_the_drawer_shows_a_new_base_price_and_a_new_previous_close(blank_page: Page):
    tickers = [
        {"base": 100, "previous_close": None},
        {"base": 75, "previous_close": None},
        {"base": 75, "previous_close": 120},
        {"base": 80, "previous_close": 125},
    ]
    assert run_module(blank_page, "row", DRAWER, tickers) == [
        ["base price", "–", "100.00", "+50.00%"],
        ["base price", "–", "75.00", "+100.00%"],
        ["previous close", "120.00", "75.00", "+25.00%"],
        ["previous close", "125.00", "80.00", "+20.00%"],
    ]


SPARKLINE = """
const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
svg.dataset.values = given.values.join(" ");
svg.innerHTML = `<path class="level"/><path d="${module.sparklinePath(given.values)}"/>`;
const sparkline = new module.Sparkline(svg);
const paths = given.prices.map(([minute, price]) => {
  sparkline.addPrice(price, minute * 60_000_000, given.reference, "up");
  return svg.lastElementChild.getAttribute("d");
});
const expected = given.expected.map(module.sparklinePath);
return [paths, expected, svg.firstElementChild.getAttribute("d"), svg.getAttribute("class")];
"""


def test_a_sparkline_replaces_its_last_value_within_a_minute_and_adds_one_after_it(page: Page):
    given = {
        "values": [1.23456789, 98.7654321, 50.0],
        "prices": [[7, 60.0], [7.9, 61.0], [8, 62.0]],
        "reference": 60.0,
        "expected": [
            [1.23456789, 98.7654321, 60.0],
            [1.23456789, 98.7654321, 61.0],
            [1.23456789, 98.7654321, 61.0, 62.0],
        ],
    }
    paths, expected, level, classes = run_module(page, "sparkline", SPARKLINE, given)
    assert paths == expected
    assert level.startswith("M0 ")
    assert classes == "up"


def test_a_sparkline_keeps_sixty_values(page: Page):
    values = [float(number % 7) for number in range(60)]
    given = {"values": values, "prices": [[1, 9.0], [2, 8.0]], "reference": 100.0}
    given["expected"] = [[*values[:-1], 9.0], [*values[1:-1], 9.0, 8.0]]
    paths, expected, level, _ = run_module(page, "sparkline", SPARKLINE, given)
    assert paths == expected
    assert level == ""


def test_a_live_price_changes_the_last_bar_or_adds_one(page: Page):
    body = """
    const bars = [{ time: 60, open: 5, high: 6, low: 4, close: 5 }];
    const tooOld = module.addToBars(bars, 60, 9, 59);
    module.addToBars(bars, 60, 7, 119.9);
    module.addToBars(bars, 60, 3, 120);
    return [tooOld === undefined, bars];
    """
    assert run_module(page, "chart", body) == [
        True,
        [
            {"time": 60, "open": 5, "high": 7, "low": 4, "close": 7},
            {"time": 120, "open": 7, "high": 7, "low": 3, "close": 3},
        ],
    ]
