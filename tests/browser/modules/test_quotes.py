"""The modules that hold quotes and tell the server's time."""

import pytest
from playwright.sync_api import Page

from tests.support.browser.modules import run_module

pytestmark = pytest.mark.browser


def test_only_newer_and_valid_updates_of_watched_symbols_are_applied(page: Page):
    body = """
    const quotes = new module.Quotes();
    quotes.watch("A", { base: 10, decimals: 2, active: true });
    const update = { symbol: "A", price: 1, timestamp: 5, seq_id: 5 };
    return [update, update, { ...update, seq_id: 4 }, { ...update, seq_id: 6 }, { ...update, timestamp: 4, seq_id: 9 },
        { ...update, timestamp: 6, seq_id: 1 }, { ...update, timestamp: 9, price: "1" }, { ...update, symbol: "B" }, {},
    ].map((each) => quotes.applyUpdate(each));
    """
    assert run_module(page, "quotes", body) == [True, False, False, True, False, True, False, False, False]


def test_a_new_base_price_moves_the_change_and_keeps_the_price(page: Page):
    body = """
    const quotes = new module.Quotes();
    quotes.watch("A", { base: 100, decimals: 2, active: true, update: { price: 150, timestamp: 1, seq_id: 1 } });
    quotes.applyTicker({ symbol: "A", name: "A", base: 75, decimals: 2, active: true });
    return [quotes.get("A").price, module.changeOf(quotes.get("A"))];
    """
    assert run_module(page, "quotes", body) == [150, {"change": 75, "percent": 100}]


def test_a_new_previous_close_starts_a_new_day(page: Page):
    body = """
    const quotes = new module.Quotes();
    quotes.watch("A", { base: 10, decimals: 2, previousClose: 9, open: 10, high: 12, low: 8 });
    quotes.applyUpdate({ symbol: "A", price: 13, timestamp: 1, seq_id: 1 });
    const before = { ...quotes.get("A") };
    quotes.applyTicker({ symbol: "A", base: 10, decimals: 2, previous_close: 13 });
    const { open, high, low, previousClose } = quotes.get("A");
    return [before.high, module.referencePrice(before), [open, high, low, previousClose]];
    """
    assert run_module(page, "quotes", body) == [13, 9, [13, 13, 13, 13]]


def test_the_clock_follows_the_server(page: Page):
    body = """
    const clock = new module.ServerClock(1000, 10);
    const before = clock.now(15);
    clock.set(5000, 20);
    return [before, clock.now(21)];
    """
    assert run_module(page, "clock", body) == [1005, 5001]


def test_values_that_cannot_be_shown_are_refused(page: Page):
    body = """
    const quotes = new module.Quotes();
    quotes.watch("A", { base: 10, decimals: 2, active: true, update: { price: 11, timestamp: 1, seq_id: 1 } });
    const update = { symbol: "A", price: 1, timestamp: 5, seq_id: 5 };
    const ticker = { symbol: "A", name: "A", base: 10, decimals: 2, previous_close: 9 };
    const updates = [null, undefined, 7, "x", [], { ...update, timestamp: 1e300 }, { ...update, timestamp: -1e300 }];
    const tickers = [{ base: 0 }, { base: -1 }, { base: "5" }, { base: null }, { decimals: -1 }, { decimals: 200 }];
    const isApplied = [
        ...updates.map((each) => quotes.applyUpdate(each)),
        ...tickers.map((each) => quotes.applyTicker({ ...ticker, ...each })),
    ];
    quotes.applyTicker({ ...ticker, previous_close: 0 });
    return [isApplied.includes(true), module.changeOf(quotes.get("A")).change];
    """
    assert run_module(page, "quotes", body) == [False, 1]


def test_prices_flow_only_while_known_prices_are_replaced(page: Page):
    body = """
    const quotes = new module.Quotes();
    const update = { symbol: "A", price: 11, timestamp: 5, seq_id: 5 };
    quotes.watch("A", { base: 10, decimals: 2, active: true, update });
    const flows = () => quotes.flowedAt <= performance.now();
    return [update, { ...update, timestamp: 4 }, { ...update, seq_id: 6 }].map((each) => {
      quotes.applyUpdate(each);
      return flows();
    });
    """
    assert run_module(page, "quotes", body) == [False, False, True]


def test_frozen_quotes_are_those_of_the_moment(page: Page):
    body = """
    const quotes = new module.Quotes();
    const watch = (symbol, price, timestamp) => {
      quotes.watch(symbol, { base: 10, decimals: 2, update: { price, timestamp, seq_id: 1 } });
    };
    watch("A", 1, 1);
    quotes.setFrozen(true);
    watch("A", 2, 2);
    watch("B", 3, 3);
    const first = quotes.shown("B").price;
    watch("B", 4, 4);
    const shown = () => ["A", "B", "C"].map((symbol) => quotes.shown(symbol)?.price);
    const paused = shown();
    quotes.setFrozen(false);
    return [first, paused, shown()];
    """
    assert run_module(page, "quotes", body) == [3, [1, 3, None], [2, 4, None]]


def test_the_age_of_a_timestamp_in_the_future_is_unknown(page: Page):
    body = """
    const ages = [undefined, 5_000_000, 10_000_000, 10_500_000, 12_000_000, 250_000_000];
    return ages.map((timestamp) => {
      const age = module.ageOf(timestamp, 10_000);
      return age === undefined ? "none" : Number.isNaN(age) ? "unknown" : age;
    });
    """
    assert run_module(page, "clock", body) == ["none", 5000, 0, 0, "unknown", "unknown"]


@pytest.mark.parametrize(
    ("timestamps", "age"),
    [
        ([], "none"),
        ([None], "none"),
        ([99], "unknown"),
        ([99, 4], 6000),
        ([4, 99, 7, None], 3000),
        ([None, 99], "unknown"),
    ],
)
def test_the_age_of_the_page_ignores_timestamps_in_the_future(page: Page, timestamps: list[int | None], age):
    body = """
    const quotes = new module.Quotes();
    for (const [index, timestamp] of given.entries()) {
      const update = timestamp === null ? undefined : { price: 1, timestamp: timestamp * 1e6, seq_id: 1 };
      quotes.watch(`S${index}`, { base: 10, decimals: 2, update });
    }
    const age = quotes.age(10_000);
    return age === undefined ? "none" : Number.isNaN(age) ? "unknown" : age;
    """
    assert run_module(page, "quotes", body, timestamps) == age
