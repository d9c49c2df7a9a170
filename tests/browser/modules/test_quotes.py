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


def test_the_age_of_an_update_that_is_ahead_is_unknown(page: Page):
    body = """
    const clock = new module.ServerClock(100_000, 0);
    return [undefined, 40_000_000, 100_500_000, 101_500_000].map((at) => String(clock.ageOf(at, 0)));
    """
    assert run_module(page, "clock", body) == ["undefined", "60000", "0", "NaN"]
    assert run_module(page, "format", "return module.formatAge(NaN)") == "age unknown"
